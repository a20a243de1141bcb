import MeridianCore
import Testing

@testable import MeridianTransactions

/// Every transition of a recovery, by what it wants done.
@Suite struct RecoveryTests {
    typealias Action = Recovery.Action

    private static let anchor = RangeID(1)
    private static let other = RangeID(2)
    private static let third = RangeID(3)
    private static let all = [anchor, other, third]
    private static let candidate = Timestamp(nanoseconds: 100)
    private static let pushed = Timestamp(nanoseconds: 130)
    private static let id = TransactionID(request: RequestID(high: 1, low: 2), attempt: 3)
    private static let commit = Resolution.commit(at: candidate)

    private func preparation(
        participants: [RangeID] = [], readsElsewhere: Bool = false
    ) -> CommitStep.Preparation {
        CommitStep.Preparation(
            anchor: Self.anchor, participants: participants, candidate: Self.candidate,
            readsElsewhere: readsElsewhere,
            priority: TransactionPriority(begun: .zero, request: Self.id.request))
    }

    private func prepared(at timestamp: Timestamp = candidate) -> Standing { .prepared(at: timestamp, preparation()) }

    /// One that has begun, met in a range that is not the anchor.
    private func begun(from origin: RangeID = other) -> Recovery {
        var machine = Recovery(id: Self.id, anchor: Self.anchor, metIn: origin)
        _ = machine.begin()
        return machine
    }

    /// One that has found the staging record.
    private func staged(
        participants: [RangeID] = all, at timestamp: Timestamp = candidate, readsElsewhere: Bool = false
    ) -> Recovery {
        var machine = begun()
        let staging = preparation(participants: participants, readsElsewhere: readsElsewhere)
        _ = machine.received(.prepared(at: timestamp, staging), from: Self.anchor, after: .query)
        return machine
    }

    // MARK: What the anchor says

    @Test func theAnchorIsAskedFirst() {
        var machine = Recovery(id: Self.id, anchor: Self.anchor, metIn: Self.other)
        #expect(machine.begin() == [.resolve(Self.anchor, .query)])
    }

    @Test(arguments: [Standing.aborted, .over])
    func withoutAStagingRecordItIsAbortedWhereItWasMet(standing: Standing) {
        var machine = begun()
        #expect(machine.received(standing, from: Self.anchor, after: .query) == [.resolve(Self.other, .abort)])
        #expect(machine.received(.aborted, from: Self.other, after: .abort) == [.finish])
        #expect(machine.isOver)
    }

    @Test func withoutAStagingRecordThereIsNothingMoreToDoInTheAnchor() {
        var machine = begun(from: Self.anchor)
        #expect(machine.received(.aborted, from: Self.anchor, after: .query) == [.finish])
    }

    @Test func aDecisionThatTheAnchorRemembersIsTold() {
        var machine = begun()
        let actions = machine.received(.committed(Self.candidate), from: Self.anchor, after: .query)
        #expect(actions == [.resolve(Self.other, Self.commit)])
        let last = machine.received(.committed(Self.candidate), from: Self.other, after: Self.commit)
        #expect(last == [.finish], "who else takes part is not known, so the anchor must not forget")
    }

    @Test func withAStagingRecordEveryOtherParticipantIsAsked() {
        var machine = begun()
        let staging = Standing.prepared(at: Self.candidate, preparation(participants: Self.all))
        #expect(
            machine.received(staging, from: Self.anchor, after: .query) == [
                .resolve(Self.other, .query), .resolve(Self.third, .query),
            ])
    }

    // MARK: What the participants say

    @Test func nothingIsDecidedBeforeAllHaveAnswered() {
        var machine = staged()
        #expect(machine.received(prepared(), from: Self.third, after: .query).isEmpty)
        #expect(machine.received(prepared(), from: Self.third, after: .query).isEmpty, "the same range counts once")
    }

    @Test(arguments: [false, true]) func allPreparedAtTheCandidateCommitThere(readsElsewhere: Bool) {
        var machine = staged(readsElsewhere: readsElsewhere)
        _ = machine.received(prepared(), from: Self.other, after: .query)
        let actions = machine.received(prepared(), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.anchor, Self.commit)], "the client may have been told")
    }

    @Test func aPushedOneCommitsAtTheHighestTimestamp() {
        var machine = staged()
        _ = machine.received(prepared(at: Self.pushed), from: Self.other, after: .query)
        let actions = machine.received(prepared(at: Timestamp(nanoseconds: 110)), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.anchor, .commit(at: Self.pushed))])
    }

    @Test func aPushedAnchorCountsToo() {
        var machine = staged(participants: [Self.anchor, Self.other], at: Self.pushed)
        let actions = machine.received(prepared(), from: Self.other, after: .query)
        #expect(actions == [.resolve(Self.anchor, .commit(at: Self.pushed))])
    }

    /// What was only read was promised to stay as it is up to the candidate, and no further.
    @Test func aPushedOneThatHasReadElsewhereIsForbidden() {
        var machine = staged(participants: [Self.anchor, Self.other], readsElsewhere: true)
        let actions = machine.received(prepared(at: Self.pushed), from: Self.other, after: .query)
        #expect(actions == [.resolve(Self.anchor, .forbid)])
    }

    @Test func anAnchorAloneDecidesAtOnce() {
        var machine = begun(from: Self.anchor)
        let staging = Standing.prepared(at: Self.candidate, preparation(participants: [Self.anchor]))
        #expect(
            machine.received(staging, from: Self.anchor, after: .query) == [.resolve(Self.anchor, Self.commit)])
        #expect(
            machine.received(.committed(Self.candidate), from: Self.anchor, after: Self.commit)
                == [.resolve(Self.anchor, .forget), .finish])
    }

    /// Also one that has taken the commit in already: then the anchor has decided, and says so.
    @Test(arguments: [Standing.aborted, .over, .committed(candidate)])
    func aParticipantThatHasNotPreparedLeavesItToTheAnchor(standing: Standing) {
        var machine = staged()
        #expect(machine.received(standing, from: Self.other, after: .query) == [.resolve(Self.anchor, .forbid)])
    }

    // MARK: The decision

    @Test func whatTheAnchorDecidesIsToldToAllOthers() {
        var machine = staged()
        _ = machine.received(prepared(), from: Self.other, after: .query)
        _ = machine.received(prepared(), from: Self.third, after: .query)
        let before = Timestamp(nanoseconds: 120)
        let actions = machine.received(.committed(before), from: Self.anchor, after: Self.commit)
        #expect(
            actions == [.resolve(Self.other, .commit(at: before)), .resolve(Self.third, .commit(at: before))],
            "somebody else decided first")
    }

    @Test func theAnchorsCommitWinsOverAForbid() {
        var machine = staged()
        _ = machine.received(.aborted, from: Self.other, after: .query)
        let actions = machine.received(.committed(Self.candidate), from: Self.anchor, after: .forbid)
        #expect(actions == [.resolve(Self.other, Self.commit), .resolve(Self.third, Self.commit)])
    }

    @Test(arguments: [Standing.aborted, .over]) func whatTheAnchorForbidsIsAbortedEverywhere(standing: Standing) {
        var machine = staged()
        _ = machine.received(.aborted, from: Self.other, after: .query)
        let actions = machine.received(standing, from: Self.anchor, after: .forbid)
        #expect(actions == [.resolve(Self.other, .abort), .resolve(Self.third, .abort)])
        #expect(machine.received(.aborted, from: Self.other, after: .abort).isEmpty)
        #expect(machine.received(.aborted, from: Self.third, after: .abort) == [.finish], "there is nothing to forget")
    }

    @Test func aRefusedCommitIsAbortedEverywhere() {
        var machine = staged(participants: [Self.anchor, Self.other])
        _ = machine.received(prepared(), from: Self.other, after: .query)
        let actions = machine.received(.aborted, from: Self.anchor, after: Self.commit)
        #expect(actions == [.resolve(Self.other, .abort)])
    }

    @Test func theAnchorForgetsOnlyWhenAllParticipantsKnow() {
        var machine = staged()
        _ = machine.received(prepared(), from: Self.other, after: .query)
        _ = machine.received(prepared(), from: Self.third, after: .query)
        _ = machine.received(.committed(Self.candidate), from: Self.anchor, after: Self.commit)
        #expect(machine.received(.over, from: Self.third, after: Self.commit).isEmpty)
        #expect(machine.received(.over, from: Self.third, after: Self.commit).isEmpty)
        #expect(
            machine.received(.committed(Self.candidate), from: Self.other, after: Self.commit)
                == [.resolve(Self.anchor, .forget), .finish])
    }

    // MARK: Late answers

    /// Of a recovery that the same node gave up: it had found the staging record, and asked the participants.
    @Test(arguments: [Standing.prepared(at: candidate, .participant), .aborted, .over])
    func aParticipantsAnswerToAnEarlierRecoveryIsNotTheAnchors(standing: Standing) {
        var machine = begun(from: Self.third)
        #expect(machine.received(standing, from: Self.other, after: .query).isEmpty)
        let staging = Standing.prepared(at: Self.candidate, preparation(participants: Self.all))
        #expect(machine.received(staging, from: Self.anchor, after: .query).count == 2, "it still waits for the anchor")
    }

    @Test func theAnchorsAnswerToAnEarlierRecoveryIsNoParticipants() {
        var machine = staged()
        #expect(machine.received(.aborted, from: Self.anchor, after: .forbid).isEmpty)
        #expect(machine.received(.over, from: Self.anchor, after: .forget).isEmpty)
        #expect(machine.received(.over, from: Self.other, after: Self.commit).isEmpty)
    }

    @Test func thatTheAnchorHasForgottenIsNoDecision() {
        var machine = staged(participants: [Self.anchor, Self.other])
        _ = machine.received(prepared(), from: Self.other, after: .query)
        #expect(machine.received(.over, from: Self.anchor, after: .forget).isEmpty)
    }

    @Test func anAnswerToAnEarlierQuestionIsNoDecision() {
        var machine = staged()
        _ = machine.received(.aborted, from: Self.other, after: .query)
        #expect(machine.received(.aborted, from: Self.anchor, after: .query).isEmpty)
        #expect(machine.received(.aborted, from: Self.third, after: .query).isEmpty)
        #expect(machine.received(prepared(), from: Self.third, after: .query).isEmpty)
        #expect(!machine.isOver)
    }

    @Test func anAnswerToAnEarlierQuestionDoesNotCountAsTold() {
        var machine = staged(participants: [Self.anchor, Self.other])
        _ = machine.received(.aborted, from: Self.other, after: .query)
        _ = machine.received(.aborted, from: Self.anchor, after: .forbid)
        #expect(machine.received(.aborted, from: Self.other, after: .query).isEmpty)
        #expect(machine.received(.aborted, from: Self.anchor, after: .abort).isEmpty, "the anchor knows already")
        #expect(machine.received(.aborted, from: Self.other, after: .abort) == [.finish])
    }

    @Test func nothingIsTakenUpWhenItIsOver() {
        var machine = begun()
        #expect(machine.failed() == [.finish])
        #expect(machine.isOver)
        let staging = Standing.prepared(at: Self.candidate, preparation(participants: Self.all))
        #expect(machine.received(staging, from: Self.anchor, after: .query).isEmpty)
    }

    // MARK: A decided transaction

    @Test func aDecidedOneIsToldWithoutAQuestion() {
        let decided = DecidedTransaction(id: Self.id, timestamp: Self.candidate, participants: Self.all)
        var machine = Recovery(of: decided, anchor: Self.anchor)
        #expect(machine.begin() == [.resolve(Self.other, Self.commit), .resolve(Self.third, Self.commit)])
        _ = machine.received(.over, from: Self.other, after: Self.commit)
        #expect(
            machine.received(.committed(Self.candidate), from: Self.third, after: Self.commit)
                == [.resolve(Self.anchor, .forget), .finish])
    }

    @Test func aDecidedOneOfTheAnchorAloneIsForgotten() {
        let decided = DecidedTransaction(id: Self.id, timestamp: Self.candidate, participants: [Self.anchor])
        var machine = Recovery(of: decided, anchor: Self.anchor)
        #expect(machine.begin() == [.resolve(Self.anchor, .forget), .finish])
        #expect(machine.isOver)
    }
}

extension CommitStep.Preparation {
    /// What a participant has, which is not the anchor: no staging record.
    fileprivate static let participant = CommitStep.Preparation(
        anchor: RangeID(1), participants: [], candidate: Timestamp(nanoseconds: 100), readsElsewhere: false,
        priority: TransactionPriority(begun: .zero, request: RequestID(high: 1, low: 2)))
}
