/// A range that a transaction writes, in the history that it was in when the transaction began.
package struct Participant: Hashable, Sendable {
    package var range: RangeID
    package var generation: Generation

    package init(_ range: RangeID, in generation: Generation = .first) {
        self.range = range
        self.generation = generation
    }
}

/// Which log decides a transaction, and in which history of its range: an order of all that ever may.
///
/// A transaction names its participants in an order, the strongest first. The first, its *anchor*, decides in the
/// generation in which the transaction began. When a failover begins another generation of the anchor, its new history
/// may lack what the old one had decided, and decides anew; when the anchor is given up, the next participant does. So
/// ballots only rise, in the order in which the system range says that ranges have failed over and were given up. Each
/// participant follows none below the highest that it has promised to follow, in its log (Paxos: Lamport 1998, §2.3).
package struct Ballot: Hashable, Comparable, Sendable {
    /// Of the range that decides, in the order of the participants. Those before it are given up.
    package var position: Int
    package var generation: Generation

    package init(position: Int, generation: Generation) {
        self.position = position
        self.generation = generation
    }

    /// The one that a transaction begins with.
    package init(of participants: [Participant]) {
        self.init(position: 0, generation: participants[0].generation)
    }

    package static func < (lhs: Ballot, rhs: Ballot) -> Bool {
        (lhs.position, lhs.generation) < (rhs.position, rhs.generation)
    }
}
