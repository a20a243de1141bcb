import MeridianCore

/// Consensus for one group: Raft as one value.
package struct Raft: Sendable {
    package enum Role: Hashable, Sendable {
        case follower
        case preCandidate
        case candidate
        case leader
    }

    package let configuration: RaftConfiguration
    package private(set) var role: Role = .follower
    package private(set) var term: Term = .zero
    package private(set) var leader: NodeID?
    package private(set) var commitIndex: LogIndex = .zero
    package private(set) var membership: Membership
    package private(set) var isQuiescent = false

    /// - Parameters:
    ///   - stored: the durable log, as loaded.
    ///   - applied: what the state store holds; its membership is in force at its position.
    ///   - now: the time of the restart, from which the old promises are kept.
    package init(configuration: RaftConfiguration, stored: StoredLog, applied: AppliedState, at now: Moment) {
        self.configuration = configuration
        self.membership = applied.membership
    }

    /// Takes an input in. Effects gather until `flush`, so that many inputs cost one write and one message a peer.
    package mutating func receive(_ input: RaftInput, at now: Moment) {}

    /// Hands over the effects of all inputs since the last flush.
    package mutating func flush(at now: Moment) -> RaftOutput { RaftOutput() }

    /// One input, and its effects.
    package mutating func step(_ input: RaftInput, at now: Moment) -> RaftOutput {
        receive(input, at: now)
        return flush(at: now)
    }

    /// When the next `tick` is due; `nil` while the group is quiescent.
    package var nextDeadline: Instant? { nil }

    package var lastPosition: LogPosition { .zero }
    package var appliedIndex: LogIndex { .zero }

    /// Up to when this leader may serve reads without asking: the farthest time until which a quorum (in joint
    /// consensus both) has promised not to elect another. `nil` before an entry of its own term is committed, while it
    /// hands over, and for whoever does not lead. Valid for a reader whose `latest` lies below it.
    package var leaseExpiration: Timestamp? { nil }

    /// Where this term's leader was handed over by its predecessor: no timestamp at or below may be assigned.
    package var timestampFloor: Timestamp { .zero }
}
