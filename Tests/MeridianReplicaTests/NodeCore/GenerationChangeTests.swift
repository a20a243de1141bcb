import MeridianConsensus
import MeridianCore
import Testing

@testable import MeridianReplica

/// A change of generation while something of the one before is on its way.
@Suite struct GenerationChangeTests {
    private func installing(entries: Int = 3) throws -> OneNode {
        var node = try OneNode(entries: entries, applied: entries)
        node.receiveSnapshot(endingAt: 10)
        try #require(node.snapshotWrites.count == 1)
        return node
    }

    /// What it says of its log while a snapshot is being written would not stay true.
    @Test(arguments: [true, false]) func aReplicaIsSealedWhenItsSnapshotsAreWritten(isInstalled: Bool) throws {
        var node = try installing()
        try node.fence()
        try node.workToTheEnd()
        #expect(node.replica?.status.isSealed == false)
        node.answerSnapshot(isInstalled: isInstalled)
        try node.workToTheEnd()
        let status = try #require(node.replica?.status)
        #expect(status.isSealed && status.last.index == LogIndex(isInstalled ? 10 : 3))
        node.receiveSnapshot(endingAt: 12)
        #expect(node.snapshotWrites.isEmpty, "a sealed replica takes a snapshot in")
    }

    /// A chunk that comes together with the seal is not written.
    @Test func aSealCancelsWhatCameWithIt() throws {
        var node = try OneNode(entries: 3, applied: 3)
        try node.fence()
        node.receiveSnapshot(endingAt: 10)
        #expect(node.snapshotWrites.isEmpty)
        try node.workToTheEnd()
        #expect(node.replica?.status.isSealed == true)
    }

    /// The seed begins when it knows what it holds; with more than the fork it is not the seed any more.
    @Test(arguments: [true, false]) func aGenerationBeginsWhenSnapshotsAreWritten(isInstalled: Bool) throws {
        var node = try installing()
        try node.begin(seed: 2, fork: OneNode.position(3))
        try node.workToTheEnd()
        #expect(node.replica?.raft.term == Generation(1).seal, "it begins amid a snapshot")
        node.answerSnapshot(isInstalled: isInstalled)
        try node.workToTheEnd()
        if isInstalled {
            #expect(node.salvages.count == 1, "what lies behind the fork is kept")
            #expect(node.replica?.raft.lastPosition == .zero)
        } else {
            #expect(node.replica?.raft.term == Generation(1).seal.next)
            #expect(node.replica?.raft.membership.votingNodes == [NodeID(2)])
        }
    }

    /// A follower of the next generation holds nothing behind its fork.
    @Test func aFollowerJoinsWhenSnapshotsAreWritten() throws {
        var node = try installing()
        try node.begin(seed: 1, fork: OneNode.position(5))
        try node.workToTheEnd()
        node.answerSnapshot()
        try node.workToTheEnd()
        let last = try #require(node.replica?.raft.lastPosition)
        #expect(last.index <= LogIndex(5))
    }

    /// Whoever holds nothing at all is told of the next generation before its first snapshot, of the one before, has
    /// been written.
    @Test func anEmptyReplicaHearsNobodyAmidASnapshotOfAnotherGeneration() throws {
        var node = try installing(entries: 0)
        try node.begin(seed: 1, fork: OneNode.position(5))
        #expect(try !node.vote(for: 1, LogPosition(term: Generation(1).seal.next, index: LogIndex(6)), in: Term(9)))
        let heartbeat = RaftMessage.Heartbeat(commit: .zero, lease: nil, readRound: 0, quiesce: false)
        let message = RaftMessage(
            from: NodeID(1), to: NodeID(2), term: Generation(1).seal.next, body: .heartbeat(heartbeat))
        node.step([
            .frame(
                NodeFrame(
                    from: NodeID(1), to: NodeID(2), clock: nil, sent: .zero,
                    messages: [.raft(OneNode.range, message)]))
        ])
        #expect(node.replica?.raft.term.generation == .first)
        node.answerSnapshot()
        try node.workToTheEnd()
        let last = try #require(node.replica?.raft.lastPosition)
        #expect(last == .zero, "\(last) of the old history is taken into the new one")
    }
}
