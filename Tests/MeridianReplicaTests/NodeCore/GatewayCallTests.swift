import MeridianCore
import Testing

@testable import MeridianReplica

/// When a range's refusal is the last word on what it was asked.
@Suite struct GatewayCallTests {
    private func call(attempts: Int = 1, wasBoundToTerm: Bool = true, mayHaveCommitted: Bool = false) -> Gateway.Call {
        Gateway.Call(
            body: .read(ReadRequest(timestamp: nil, operations: [])), range: RangeID(1), arrival: .zero,
            deadline: .distantFuture, attempts: attempts, retryAt: .distantFuture,
            mayHaveCommitted: mayHaveCommitted, isFirstAttempt: true, wasBoundToTerm: wasBoundToTerm)
    }

    @Test func whatWasAskedOnceOfOneLeadershipEndsWithItsAnswer() {
        #expect(!call().mayStillHappen)
    }

    @Test func whatWasAskedTwiceMayComeAgain() {
        #expect(call(attempts: 2).mayStillHappen)
    }

    @Test func whatAnyLeadershipMayTakeUpMayComeLater() {
        #expect(call(wasBoundToTerm: false).mayStillHappen)
    }

    /// A leadership was lost with it in the log, and the call's time was up before it was asked again: the client was
    /// told that nothing had been committed, and a recovery committed it (found by `CommitModel`).
    @Test func whatALostLeadershipHadInItsLogMayHaveHappened() {
        #expect(call(mayHaveCommitted: true).mayStillHappen)
    }
}
