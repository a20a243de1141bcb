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
    /// Where the leaseholder belongs.
    package var home: Region
    /// Sorted by node, each node once.
    package private(set) var members: [Member]
    package var commitRule: CommitRule
    /// The voters in the order in which they should lead.
    package var preferredLeaders: [NodeID]
    /// The law that every replica must stand under; `nil` when they may stand anywhere.
    package var jurisdiction: Jurisdiction?

    package init(
        id: RangeID, span: KeySpan, table: TableID, home: Region, members: [Member], commitRule: CommitRule,
        preferredLeaders: [NodeID] = [], jurisdiction: Jurisdiction? = nil
    ) {
        precondition(span.upper != span.lower, "\(id) of \(table) spans no keys")
        self.id = id
        self.span = span
        self.table = table
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
}
