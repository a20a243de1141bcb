import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianStorage
import Testing

@testable import MeridianReplica

/// Replicas that leave, over two files and every crash between their writes.
@Suite struct DepartureTests {
    private static let end = OneNode.position(6)

    /// Lets the node work on a departure until a number of writes is done, and then it loses power.
    /// - Returns: whether there were so many.
    private func crash(_ node: inout OneNode, after writes: Int) throws -> Bool {
        for _ in 0..<writes { guard try node.work() else { return false } }
        try node.restart()
        return true
    }

    /// Where a departure has begun, the rows that a crash brings back are never a member's again.
    @Test func noCrashBringsADepartedReplicaBack() throws {
        var writes = 0
        while true {
            var node = try OneNode()
            try node.workToTheEnd()
            try node.leave()
            let hadLog = node.log.load()[OneNode.range]?.isEmpty == false
            #expect(hadLog)
            guard try crash(&node, after: writes) else { break }
            if node.log.load()[OneNode.range]?.isEmpty != false {
                #expect(node.replica == nil, "after \(writes) writes and a crash it is there again")
                try node.workToTheEnd()
                #expect(node.state.load()[OneNode.range] == nil && node.core.departures.isEmpty)
                #expect(try rows(node) == 0)
            }
            writes += 1
        }
        #expect(writes >= 4, "the log, the rows and the mark are written one by one")
    }

    /// A replica that makes room for another history does so once, whatever happens, and never without a report.
    @Test func noCrashMixesHistories() throws {
        var writes = 0
        while true {
            var node = try OneNode()
            try node.workToTheEnd()
            try node.begin(seed: 1, fork: OneNode.position(2))
            guard try crash(&node, after: writes) else { break }
            try node.workToTheEnd()
            #expect(!node.salvages.isEmpty)
            let raft = try #require(node.replica?.raft)
            #expect(raft.lastPosition == .zero && raft.term >= Generation(1).seal, "after \(writes) writes")
            #expect(node.state.load()[OneNode.range] == nil)
            #expect(node.log.load()[OneNode.range]?.hardState.isDeparting == false)
            #expect(try rows(node) == 0)
            writes += 1
        }
        #expect(writes >= 5)
    }

    private func rows(_ node: OneNode) throws -> Int {
        try node.state.makeReader().rows(of: World.span, at: .distantFuture).count
    }

    /// It comes back empty, and somebody who slept through all of it asks for its vote.
    @Test(arguments: [false, true]) func whoComesBackVotesForNobodyItHadOutgrown(crashes: Bool) throws {
        var node = try OneNode()
        try node.workToTheEnd()
        let members = node.record.ranges[0].members
        try node.leave()
        try node.workToTheEnd()
        #expect(node.replica == nil)
        if crashes { try node.restart() }
        try node.change { $0.setMembers(members) }
        try node.workToTheEnd()
        #expect(node.replica?.raft.lastPosition == .zero)
        #expect(try !node.vote(for: 3, OneNode.position(5), in: Term(2)))
        #expect(try node.vote(for: 3, Self.end, in: Term(3)))
    }

    /// Its log goes back to the beginning, where others were members than are now.
    @Test func aWholeLogBeginsWithItsFounders() throws {
        var node = try OneNode(entries: 6, applied: 0)
        let founders = node.record.ranges[0].members
        try node.change { range in
            range.transition = .init(members: range.members, commitRule: nil)
            range.setMembers([Member(node: NodeID(3), region: "local", role: .voter)])
            range.preferredLeaders = [NodeID(3)]
        }
        try node.restart()
        #expect(node.replica?.raft.membership.members == founders)
    }

    /// The rows end before the log begins: a disk has brought an older state back. The replica gets all from its peers
    /// and counts for nothing until then.
    @Test func aReplicaWhoseRowsEndBeforeItsLogIsRebuilt() throws {
        var writes = 0
        while true {
            var node = try OneNode(entries: 9, applied: 3, base: 5)
            node.step([.tick])
            #expect(node.mendings.map(\.code) == [.corruption])
            #expect(node.replica == nil)
            guard try crash(&node, after: writes) else { break }
            try node.workToTheEnd()
            let raft = try #require(node.replica?.raft)
            #expect(raft.isRecovering && raft.incarnation == Incarnation.first.next, "after \(writes) writes")
            #expect(raft.lastPosition == .zero && node.state.load()[OneNode.range] == nil)
            #expect(try !node.vote(for: 3, OneNode.position(9), in: Term(3)))
            writes += 1
        }
        #expect(writes >= 4)
    }
}
