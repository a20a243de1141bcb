import MeridianConsensus
import MeridianCore
import Testing

@Suite struct ProgressTests {
    private func progress(next: UInt64 = 10) -> Progress {
        Progress(
            node: NodeID(2), isWitness: false, next: LogIndex(next), contact: .zero,
            inflights: Inflights(maximumMessages: 3, maximumBytes: 1000))
    }

    @Test func probingSendsOneAtATime() {
        var progress = progress()
        progress.sent(last: LogIndex(12), byteCount: 10)
        #expect(progress.isPaused && progress.next == LogIndex(10))
    }

    @Test func replicatingRunsAhead() {
        var progress = progress()
        let did1 = progress.acknowledge(LogIndex(9))
        #expect(did1)
        progress.becomeReplicate()
        progress.sent(last: LogIndex(12), byteCount: 10)
        progress.sent(last: LogIndex(15), byteCount: 10)
        #expect(progress.next == LogIndex(16) && progress.inflights.count == 2)
        let did2 = progress.acknowledge(LogIndex(13))
        #expect(did2)
        #expect(progress.inflights.count == 1)
        let did3 = progress.acknowledge(LogIndex(11))
        #expect(!did3)
        #expect(progress.match == LogIndex(13))
    }

    @Test func aRejectionWhileReplicatingProbesAfterTheMatch() {
        var progress = progress()
        _ = progress.acknowledge(LogIndex(9))
        progress.becomeReplicate()
        progress.sent(last: LogIndex(12), byteCount: 10)
        let did4 = progress.reject(previous: LogIndex(12), candidate: LogIndex(5))
        #expect(did4)
        #expect(progress.state == .probe && progress.next == LogIndex(10) && progress.inflights.isEmpty)
    }

    @Test func aStaleRejectionChangesNothing() {
        var progress = progress()
        let did5 = progress.reject(previous: LogIndex(4), candidate: LogIndex(2))
        #expect(!did5)
        #expect(progress.next == LogIndex(10))
        let did6 = progress.reject(previous: LogIndex(9), candidate: LogIndex(2))
        #expect(did6)
        #expect(progress.next == LogIndex(3))
        let did7 = progress.reject(previous: LogIndex(9), candidate: LogIndex(2))
        #expect(!did7)
    }

    @Test func aSnapshotEndsInAProbeBehindIt() {
        var progress = progress(next: 2)
        progress.becomeSnapshot()
        progress.snapshotInstalled(LogIndex(20))
        #expect(progress.state == .probe && progress.next == LogIndex(21) && progress.match == .zero)
    }

    @Test func aFailedSnapshotDoesNotMoveNext() {
        var progress = progress(next: 2)
        progress.becomeSnapshot()
        progress.becomeProbe()
        #expect(progress.next == LogIndex(2))
    }

    @Test func stallingTakesAWholeHeartbeatInterval() {
        var progress = progress()
        _ = progress.acknowledge(LogIndex(9))
        progress.becomeReplicate()
        progress.sent(last: LogIndex(10), byteCount: 1)
        progress.heartbeat()
        #expect(!progress.isStalled)
        progress.heartbeat()
        #expect(progress.isStalled)
        _ = progress.acknowledge(LogIndex(10))
        progress.heartbeat()
        #expect(!progress.isStalled)
    }
}

@Suite struct InflightsTests {
    @Test func theWindowIsLimitedInMessages() {
        var inflights = Inflights(maximumMessages: 2, maximumBytes: 1000)
        inflights.add(last: LogIndex(1), byteCount: 1)
        #expect(!inflights.isFull)
        inflights.add(last: LogIndex(2), byteCount: 1)
        #expect(inflights.isFull)
        inflights.free(upTo: LogIndex(1))
        #expect(!inflights.isFull && inflights.count == 1 && inflights.byteCount == 1)
    }

    @Test func theWindowIsLimitedInBytes() {
        var inflights = Inflights(maximumMessages: 100, maximumBytes: 10)
        inflights.add(last: LogIndex(1), byteCount: 25)
        #expect(inflights.isFull)
        inflights.reset()
        #expect(inflights.isEmpty && inflights.byteCount == 0)
    }
}
