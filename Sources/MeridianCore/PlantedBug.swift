/// Bugs that are there on purpose, so that the simulator can be tested: each must be found (docs/TESTING.md has the
/// score).
///
/// They are compiled only into builds for which the manifest was read with `MERIDIAN_PLANTED=1`; everywhere else
/// `Planted.isOn` is the constant `false`, and the optimiser removes what hangs on it.
/// One process runs one planted bug.
package enum PlantedBug: String, CaseIterable, Sendable {
    // Consensus.
    case commitOneShortOfAMajority
    case electOneShortOfAMajority
    case commitEarlierTermByCounting
    case commitLogOnElection
    case countUnsyncedOwnLog
    case matchBeyondAcknowledgement
    case voteForShorterLog
    case voteTwice
    case voteForgotten
    case voteBeforeSync
    case acknowledgeBeforeSync
    case appendWithoutMatch
    case conflictKept
    case commitBeyondMatch
    case heartbeatCommitsBlindly
    case promiseNotKept
    case promiseForgottenAtRestart
    case leaseNeverEnds
    case leaseDuringTransfer
    case readIndexUnconfirmed
    case quiescentNeverWakes
    // Time.
    case commitWaitSkipped
    case commitWaitHalved
    case timestampsTie
    case clockReadBeforeEvents
    case closedTooFar
    case newLeaderReadyTooEarly
    case closedWithoutIndex
    case closedBeyondLease
    case followerServesUnclosed
    case readsWhatIsCollected
    case tokenIgnored
    // Transactions and requests.
    case conflictUnseen
    case latchIgnored
    case retryAppliesTwice
    case duplicateAppliesTwice
    case retryTakenForFirst
    case unknownReportedCommitted
    case unknownReportedFailed
    // Transactions of several ranges.
    case pushIgnored
    case recoveryAborts
    case abortUnasked
    case confirmedFromThePast
    case prepareBelowReads
    case prepareBelowEarlierLeases
    case preparedForgottenByLeader
    case closedOverPrepared
    case preparedReadable
    case laterAttemptIgnoresFirst
    case firstWrittenAnchors
    case unequalInOneRound
    // State.
    case applySkipsCommand
    case halfSnapshotInstalled
    case snapshotTakesRowsBack
    case snapshotForgetsRequests
    case collectVisibleVersion
    case compactBeforeCheckpoint
    case checkpointLies
    // Placement and residency.
    case pinIgnored
    case outsidersServed
    case lookupsLeave
    // Active-active tables.
    case cursorBeforeRows
    case outboxTrimmedUnasked
    case deletionsForgottenAtOnce
    case incomingRegisterTaken
    case countersAddUp
    case conflictUnrecorded
    case removalTakesUnseen
    case siblingsOverwritten
    case coverageNotAwaited
    case timeFixedBeforeCoverage
    case joinedUnfilled
    // Failover.
    case authorityNeverEnds
    case failoverUnlapsed
    case replicasUnsealed
    case seedNotMostComplete
    case salvageDropped
    case keeperActsOnStaleRecord

    /// What it does, and whose bug or which rule it is modelled on (FC: shared/anchors/reliability.md, section 3).
    package var summary: String {
        switch self {
        case .commitOneShortOfAMajority: "a commit needs one copy less than a majority (Raft §5.3)"
        case .electOneShortOfAMajority: "an election needs one vote less than a majority (Raft §5.2; FC 4)"
        case .commitEarlierTermByCounting: "entries of earlier terms are committed by counting (Raft figure 8)"
        case .commitLogOnElection: "a new leader takes its whole log for committed (FC 14)"
        case .countUnsyncedOwnLog: "the leader counts its own entries before they are synced (etcd #14370; FC 9)"
        case .matchBeyondAcknowledgement: "the leader takes an acknowledgement for all that it sent (Raft §5.3)"
        case .voteForShorterLog: "votes go to candidates with older logs (Raft §5.4.1)"
        case .voteTwice: "a voter gives its vote again in the same term (Raft §5.2)"
        case .voteForgotten: "a restart forgets term and vote (Raft figure 2)"
        case .voteBeforeSync: "a vote is sent before it is durable (Raft figure 2)"
        case .acknowledgeBeforeSync: "entries are acknowledged before they are durable (NATS 2.12.1; FC 18)"
        case .appendWithoutMatch: "entries are appended without a look at the one before (Raft §5.3)"
        case .conflictKept: "a follower keeps entries that contradict the leader's (Raft §5.3)"
        case .commitBeyondMatch: "a follower commits beyond what it shares with the leader (Raft figure 2)"
        case .heartbeatCommitsBlindly: "heartbeats carry the leader's commit index to those that lag (thesis §3.8)"
        case .promiseNotKept: "a voter forgets its promise to the leaseholder at once (FC 8, FC 16)"
        case .promiseForgottenAtRestart: "a restart forgets the promise to the leaseholder (FC 8)"
        case .leaseNeverEnds: "a leader serves by a lease that has ended (VoltDB 6.3; FC 16)"
        case .leaseDuringTransfer: "a leader serves by its lease while it hands over (FC 8)"
        case .readIndexUnconfirmed: "reads ask no quorum (dqlite #258; FC 16, FC 20)"
        case .quiescentNeverWakes: "followers of a sleeping range sleep on when its leader dies (FC 5)"
        case .commitWaitSkipped: "commits are answered before their timestamps are past (CockroachDB; FC 1)"
        case .commitWaitHalved: "the commit wait ends with the clock's latest instead of its earliest (FC 1)"
        case .timestampsTie: "two commits get one timestamp (CockroachDB beta 2016; FC 2)"
        case .clockReadBeforeEvents: "a step reads its clock before it takes its events (issue 15, S7)"
        case .closedTooFar: "more is closed than was promised (Spanner §4.1.3)"
        case .newLeaderReadyTooEarly: "a new leader serves before it has applied its predecessors' commits (FC 20)"
        case .closedWithoutIndex: "followers use a closed timestamp before they have applied its log (CockroachDB)"
        case .closedBeyondLease: "a global table closes beyond its lease (CockroachDB, GLOBAL tables)"
        case .followerServesUnclosed: "a follower serves above its closed timestamp (TiDB, stale reads)"
        case .readsWhatIsCollected: "reads older than the retention are served (etcd, compacted revisions)"
        case .tokenIgnored: "a read after a token forgets the token (Terry et al., session guarantees)"
        case .conflictUnseen: "a transaction's reads are not checked at its commit (TiDB 2.1.7; FC 7)"
        case .latchIgnored: "requests for one row do not wait for each other (FC 7)"
        case .retryAppliesTwice: "a commit that is asked for again is applied again (CockroachDB beta 2016; FC 2)"
        case .duplicateAppliesTwice: "a frame that arrives twice is served twice (FC 2)"
        case .retryTakenForFirst: "a gateway asks again as if it were the first time (FC 2, FC 7)"
        case .unknownReportedCommitted: "a lost leadership is reported as a commit (YugabyteDB 1.1.9; FC 3)"
        case .unknownReportedFailed: "an unknown outcome is reported as none (FC 2)"
        case .pushIgnored: "a transaction commits at its candidate although a range was pushed (Spanner §4.2.1)"
        case .recoveryAborts: "a fully prepared transaction is aborted by who finds it (YugabyteDB #17319; FC 6)"
        case .abortUnasked: "a coordinator aborts without asking the anchor (CockroachDB's parallel commits)"
        case .confirmedFromThePast: "what was only read is confirmed from what is closed (seed 69, registers-wide)"
        case .prepareBelowReads: "a range prepares below what it has served to readers (Spanner §4.2.1)"
        case .prepareBelowEarlierLeases: "a new leader prepares below what earlier leases served (Spanner §4.1.2)"
        case .preparedForgottenByLeader: "a new leader forgets what is prepared (FC 6)"
        case .closedOverPrepared: "a timestamp is closed above what is prepared (Spanner §4.2.4)"
        case .preparedReadable: "what is prepared holds nobody up (FC 6)"
        case .laterAttemptIgnoresFirst: "a commit that is asked for again ignores an attempt that is open (FC 2)"
        case .firstWrittenAnchors: "the range that is written first decides, however little it survives (S3)"
        case .unequalInOneRound: "ranges of different modes commit in one round (S3)"
        case .applySkipsCommand: "a follower leaves a command out (etcd #13766; FC 9)"
        case .halfSnapshotInstalled: "half of a snapshot's rows are installed (FC 14)"
        case .snapshotTakesRowsBack: "a snapshot is installed over newer rows (issue 15, S4)"
        case .snapshotForgetsRequests: "a snapshot comes without the requests that were applied (FC 2)"
        case .collectVisibleVersion: "garbage collection takes the version that readers see (etcd #17780; FC 11)"
        case .compactBeforeCheckpoint: "the log is cut before the rows are durable (rqlite #2540; FC 11)"
        case .checkpointLies: "a checkpoint reports what it did not write (etcd #13766; FC 9)"
        case .pinIgnored: "restricted rows are placed anywhere (the pin is ignored)"
        case .outsidersServed: "restricted rows are read from outside although the rule refuses it"
        case .lookupsLeave: "a key that is not found at home is asked for in every region (uniqueness probes)"
        case .cursorBeforeRows: "a copy notes how far it has pulled before it has merged the rows"
        case .outboxTrimmedUnasked: "an outbox is trimmed without asking the slowest copy"
        case .deletionsForgottenAtOnce: "deletions are forgotten before all copies have heard of them (Cassandra)"
        case .incomingRegisterTaken: "a merge takes the register that comes in, whatever the stamps"
        case .countersAddUp: "a merge adds up what two copies know of one share of a counter"
        case .conflictUnrecorded: "a write that loses is not recorded"
        case .removalTakesUnseen: "a removal takes additions that it has not seen"
        case .siblingsOverwritten: "a merge keeps the latest of several siblings alone"
        case .coverageNotAwaited: "a read after a token does not wait for what other copies have written"
        case .timeFixedBeforeCoverage: "a read of several tables after a token waits for the first one alone"
        case .joinedUnfilled: "a new copy is put to use before it has the rows"
        case .authorityNeverEnds: "a home region serves on when its authority is over"
        case .failoverUnlapsed: "a failover does not wait for the lost home's authority to be over"
        case .replicasUnsealed: "a failover asks replicas that go on in the old history"
        case .seedNotMostComplete: "a new history begins from the copy that has the least"
        case .salvageDropped: "what a failover has left behind is removed without a report"
        case .keeperActsOnStaleRecord: "a failover gives up the home of a later record than its caller saw"
        }
    }

    /// The workload that shows it, where that is not one of many.
    package var workload: String? {
        switch self {
        case .cursorBeforeRows, .outboxTrimmedUnasked, .deletionsForgottenAtOnce, .incomingRegisterTaken,
            .countersAddUp, .conflictUnrecorded, .removalTakesUnseen, .siblingsOverwritten, .coverageNotAwaited,
            .timeFixedBeforeCoverage, .joinedUnfilled:
            "active-active"
        case .authorityNeverEnds, .failoverUnlapsed, .replicasUnsealed, .seedNotMostComplete, .salvageDropped,
            .keeperActsOnStaleRecord:
            "failover"
        default: nil
        }
    }
}

/// Which bug this process carries.
package enum Planted {
    #if MERIDIAN_PLANTED
        package static let isCompiledIn = true
        /// Set once, before anything runs.
        nonisolated(unsafe) package static var bug: PlantedBug?

        @inline(__always)
        package static func isOn(_ candidate: PlantedBug) -> Bool { bug == candidate }
    #else
        package static let isCompiledIn = false

        @inline(__always)
        package static func isOn(_ candidate: PlantedBug) -> Bool { false }
    #endif
}
