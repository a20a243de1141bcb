import MeridianCore

/// One range: which keys, of which table, where its replicas are and when it commits.
///
/// Its span is made of row keys. A descriptor of a restricted range is therefore as private as its rows: it is
/// stored and sent inside `jurisdiction` only (DESIGN §1, idea 4). Spans that are the bounds of a table or of one of
/// its regions hold no row and may be known everywhere.
package struct RangeDescriptor: Hashable, Sendable {
    package let id: RangeID
    package var span: KeySpan
    package var table: TableID
    /// The region that stands in the rows' keys. It is the home when the range is made, and stays when the home moves.
    package let partition: Region
    /// Where the leaseholder belongs.
    package var home: Region
    /// Sorted by node, each node once.
    package private(set) var members: [Member]
    package var commitRule: CommitRule
    /// The voters in the order in which they should lead.
    package var preferredLeaders: [NodeID]
    /// The law that every replica must stand under; `nil` when they may stand anywhere.
    package var jurisdiction: Jurisdiction?
    /// How often the range was changed since it was made. A node that is new to a range of a later revision waits for
    /// the rows instead of founding the group.
    package var revision: UInt32 = 0
    /// Which history the range is in: a forced failover begins the next one (`Generation`).
    package var generation = Generation.first
    /// The generation that a failover is about to begin: replicas of earlier ones take no part any more.
    package var fence: Generation?
    /// It was given up for good, with nothing to go on from: it is fenced and serves nobody any more.
    package var isGivenUp = false
    /// From where the present generation goes on; `nil` in the first.
    package var seed: Seed?
    /// Where the earlier histories end, that of generation *g* at `forks[g]`. An entry of an earlier history is part of
    /// the present one if it lies behind none of the forks since.
    package var forks: [Fork] = []
    /// Whether replicas of earlier histories are kept, sealed, because the present one may be in one place only.
    package var keepsEarlierHistory = false
    /// What the range comes from while its members change; `nil` when that is over.
    package var transition: Transition?

    /// Where a history ends and the next one goes on.
    package struct Fork: Hashable, Sendable {
        /// The last entry that both have.
        package var index: LogIndex
        /// What was committed up to this time lies before the fork: later versions of rows can be what it has cut.
        package var completeTo: Timestamp
        /// Whether everything that was acknowledged lies before the fork, and nothing has been since.
        package var isLossless: Bool

        package init(index: LogIndex, completeTo: Timestamp, isLossless: Bool = false) {
            self.index = index
            self.completeTo = completeTo
            self.isLossless = isLossless
        }
    }

    /// The replica whose log a generation continues.
    package struct Seed: Hashable, Sendable {
        package var node: NodeID
        /// Where the earlier generation's log ends for the new one. What lies behind it is not part of it.
        package var fork: LogPosition

        package init(node: NodeID, fork: LogPosition) {
            self.node = node
            self.fork = fork
        }
    }

    /// Members and rule before a change.
    package struct Transition: Hashable, Sendable {
        package var members: [Member]
        /// Counts until the new members are in force; `nil` when the new rule counts from the start.
        package var commitRule: CommitRule?

        package init(members: [Member], commitRule: CommitRule?) {
            self.members = members
            self.commitRule = commitRule
        }
    }

    package init(
        id: RangeID, span: KeySpan, table: TableID, partition: Region? = nil, home: Region, members: [Member],
        commitRule: CommitRule, preferredLeaders: [NodeID] = [], jurisdiction: Jurisdiction? = nil
    ) {
        precondition(span.upper != span.lower, "\(id) of \(table) spans no keys")
        self.id = id
        self.span = span
        self.table = table
        self.partition = partition ?? home
        self.home = home
        self.members = Membership(members: members).members
        self.commitRule = commitRule
        self.preferredLeaders = preferredLeaders
        self.jurisdiction = jurisdiction
    }

    package init(id: RangeID, span: KeySpan, table: TableID, plan: ReplicaPlan) {
        self.init(
            id: id, span: span, table: table, home: plan.home, members: plan.members, commitRule: plan.commitRule,
            preferredLeaders: plan.preferredLeaders, jurisdiction: plan.jurisdiction)
    }

    /// Puts the range under another configuration; order does not matter, each node may stand in it once.
    package mutating func setMembers(_ members: [Member]) {
        self.members = Membership(members: members).members
    }

    package var membership: Membership { Membership(members: members) }
    package subscript(node: NodeID) -> Member? { members.first { $0.node == node } }

    /// The next step of a change is done.
    package mutating func advanceChange() {
        if keepsEarlierHistory { keepsEarlierHistory = false } else { transition = nil }
        revision += 1
    }

    /// Up to where the log of an earlier generation is part of the present history.
    package func commonIndex(with generation: Generation) -> LogIndex {
        forks.dropFirst(Int(generation.rawValue)).map(\.index).min() ?? LogIndex(.max)
    }

    /// Up to when the rows of an earlier generation are part of the present history for certain.
    package func commonTime(with generation: Generation) -> Timestamp {
        forks.dropFirst(Int(generation.rawValue)).map(\.completeTo).min() ?? .distantFuture
    }

    /// Whether a failover has cut something off since a generation.
    package func hasLost(since generation: Generation) -> Bool {
        forks.dropFirst(Int(generation.rawValue)).contains { !$0.isLossless }
    }

    /// Whether a node keeps a replica: it is a member, or was one and the change is not over.
    package func isHosted(by node: NodeID) -> Bool {
        self[node] != nil || transition?.members.contains { $0.node == node } == true
    }

    /// All that may take part in the group while the members change.
    package var hosts: [Member] {
        guard let transition else { return members }
        return members + transition.members.filter { self[$0.node] == nil }
    }
}
