import BenchSupport
import Meridian
import Testing

/// Nothing of a pinned row comes out of its jurisdiction, by any channel, under any fault; and whatever comes out is
/// found.
@Suite(.serialized, .timeLimit(.minutes(5))) struct CanaryMatrixTests {
    @Test func noChannelLeaksUnderAnyFault() async throws {
        let outcome = try await ResidencyRun(rowsPerRegion: 12).run()
        let matrix = outcome.matrix
        print(matrix.text)
        #expect(matrix.leakedBytes == 0, "\(matrix.examples.joined(separator: "\n"))")
        #expect(matrix.channels.count >= 12)
        #expect(matrix.faults.count >= 6)
        // The search finds what is there.
        for channel in [
            LeakChannel.logFile, .stateFile, .logEntries, .snapshots, .requests, .replies, .transactionParts,
        ] {
            #expect(matrix[channel].foundAtHome > 0, "\(channel) has nothing at home either")
        }
        #expect(outcome.rowsFound > 0)
        #expect(outcome.errors.count >= 10, "\(outcome.errors)")
        #expect(outcome.ledger.leakedBytes == 0 && outcome.ledger.answeredBytes == 0)
        #expect(outcome.ledger[.aggregate].bytes > 0)
    }

    @Test func rowsThatAreNotPinnedAreFoundAbroad() async throws {
        let outcome = try await ResidencyRun(rowsPerRegion: 5, isLeaky: true).run()
        for channel in [LeakChannel.logFile, .stateFile, .logEntries] {
            #expect(outcome.matrix[channel].leakedBytes > 0, "\(channel)")
        }
    }

    @Test func aCanaryIsFoundInEveryForm() {
        let canary = Canary("zq7-canary", of: "EU")
        for (number, form) in canary.forms.enumerated() {
            let matrix = LeakMatrix([canary])
            matrix.look(at: [1, 2, 3] + form + [4], .logLines, under: nil, "form \(number)")
            #expect(matrix.leakedBytes >= form.count, "form \(number)")
        }
    }

    @Test func bytesAreFoundHoweverDeepInAValue() {
        struct Inner { var texts: [String: [UInt8]] }
        struct Outer { var inner: Inner?; var array: [[UInt8]] }
        let value = Outer(inner: Inner(texts: ["a": [1, 2]]), array: [[3]])
        #expect(Set(BytesWithin.all(value)) == [[97], [1, 2], [3]])
    }
}
