import MeridianCore
import Testing

@testable import MeridianSimulation

/// Bugs that the simulator has found, each with the run that found it. They stay, so that none comes back.
@Suite struct NamedSeedTests {
    /// A node took a commit's first attempt with it when its region was lost, and no node was left to ask again: the
    /// client was told that nothing had been committed (`Database.call`).
    @Test func aCommitThatALostRegionTookWithItIsUnknown() throws {
        try Self.run(seed: 1, "registers", episodes: [2])
    }

    /// No node of the reader's region knew the time, and each range was read as of its own moment
    /// (`Database.readTimestamp`).
    @Test func readsHaveOneTimestampWhereNoClockIsUsable() throws {
        try Self.run(seed: 757, "causal", episodes: [2])
    }

    /// After a pause, frames that had waited made the others' clocks look slow. The node took its own for a liar, its
    /// promise seemed to last for as long as the pause had been, and it slept for all of that time although it had the
    /// only log that could be elected (`Raft.electionTimedOut`, `NodeCore.hear`).
    @Test func aNodeThatWasPausedCampaignsInTime() throws {
        try Self.run(seed: 798, "long-fork", episodes: [1, 5, 9])
    }

    /// A commit was refused because the disk was full, and its frame arrived a second time when there was space again:
    /// it was done after its client had been told that it was not (`NodeCore.refused`).
    @Test func aRefusedCommitIsNotDoneWhenItsFrameArrivesAgain() throws {
        try Self.run(seed: 107_154, "register", episodes: [1, 2, 3])
    }

    /// What was found in transactions over several ranges, one after the other: a coordinator whose anchor had
    /// forgotten its commit took that for an abort (11 and 4), a second coordinator of one attempt reported a failure
    /// that it could not know (101 and 45), a commit released its latches twice (1), and what was only read was
    /// confirmed from what was closed (69).
    @Test(
        arguments: [
            (11, "append-wide"), (101, "append-wide"), (4, "registers-wide"), (45, "registers-wide"),
            (69, "registers-wide"), (1, "bank-wide"),
        ] as [(UInt64, String)])
    func transactionsOverSeveralRangesKeepTheirPromises(seed: UInt64, workload: String) throws {
        try Self.run(seed: seed, workload, episodes: nil)
    }

    /// A read of two active-active tables after a token waited for the first one alone: the time of all reads was fixed
    /// before the region had what the token proves in the second (`TokenCoverage`).
    @Test func aReadOfSeveralTablesAfterATokenSeesItInAll() throws {
        try Self.run(seed: 3, "active-active", episodes: nil)
    }

    /// A copy was put to use as it was filled, without what the others had written since (`CopyFilling.catchUp`).
    @Test func aNewCopyHasWhatTheOthersHave() throws {
        try Self.run(seed: 555, "active-active", episodes: nil)
    }

    /// The nearest copy of a table changed amid a transaction: it read in one and overwrote, in the other, what it had
    /// not seen, and no conflict told of it (`TablesUsed`).
    @Test func aTransactionReadsAndWritesInOneCopy() throws {
        try Self.run(seed: 9_006_434, "active-active", episodes: [1, 2, 3, 4, 6, 7, 8, 9, 10, 11])
    }

    /// A write whose client had given up waited for a lock, and committed between two looks at the copies: as it may
    /// (`ActiveActiveAccount.noteRenewed`).
    @Test func aWriteOfUnknownOutcomeMayComeWhileACopyIsMadeAnew() throws {
        try Self.run(seed: 9_000_494, "active-active", episodes: [1, 2, 4, 5, 6, 9, 10, 12, 14, 15, 16, 17, 18])
    }

    /// What was found in failovers: the report of what an asynchronous home had alone lacked what its log had let go of
    /// (137), a node whose rows were back after a crash amid its departure took part in the new history with them
    /// (1065), and a failover amid a joint change did not ask those who were to be replaced (1284).
    @Test(arguments: [137, 1_065, 1_284] as [UInt64])
    func failoversKeepHistoriesApart(seed: UInt64) throws {
        try Self.run(seed: seed, "failover", episodes: nil)
    }

    private static func run(seed: UInt64, _ workload: String, episodes: Set<Int>?) throws {
        let topology = try Topology.aws(["us-east-1", "eu-west-1", "ap-northeast-1"])
        var simulation = Simulation(seed: seed, workload: workload, topology: topology)
        simulation.episodes = episodes
        #expect(try simulation.run().violation == nil)
    }
}
