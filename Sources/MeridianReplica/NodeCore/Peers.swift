import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// What a node knows of its peers' life: when each was heard last. Nodes that have nothing to say send an empty frame
/// now and then, so silence means something even between nodes whose ranges are quiescent.
struct Peers: Sendable {
    private struct Peer: Sendable {
        let node: NodeID
        var heard: Instant
        var sent: Instant
        var clockSampled: Instant?
        var isSilent = false
        var isReadOnly = false
    }

    /// Sorted by node.
    private var peers: [Peer]
    private(set) var nextKeepalive: Instant
    private var nextClockPoll: Instant

    static let keepaliveNanoseconds: Int64 = 100_000_000
    private static let clockPollNanoseconds: Int64 = 500_000_000

    init(_ nodes: [NodeID], at now: Instant) {
        peers = nodes.sorted().map { Peer(node: $0, heard: now, sent: now) }
        nextKeepalive = nodes.isEmpty ? .distantFuture : now
        nextClockPoll = now.advanced(byNanoseconds: Self.clockPollNanoseconds)
    }

    private func position(_ node: NodeID) -> Int? { peers.firstIndex { $0.node == node } }

    mutating func noteHeard(_ node: NodeID, isReadOnly: Bool, at now: Instant) {
        guard let position = position(node) else { return }
        peers[position].isReadOnly = isReadOnly
        peers[position].heard = now
        peers[position].isSilent = false
    }

    mutating func noteSent(to nodes: [NodeID], at now: Instant) {
        for node in nodes {
            if let position = position(node) { peers[position].sent = now }
        }
    }

    func isSilent(_ node: NodeID) -> Bool { position(node).map { peers[$0].isSilent } ?? false }

    /// Whether a node was heard lately and can write, as far as it has said.
    func canLead(_ node: NodeID) -> Bool {
        position(node).map { !peers[$0].isSilent && !peers[$0].isReadOnly } ?? false
    }

    mutating func wantsClockSample(from node: NodeID, at now: Instant) -> Bool {
        guard let position = position(node) else { return false }
        if let sampled = peers[position].clockSampled,
            now.nanoseconds(since: sampled) < Self.clockPollNanoseconds
        {
            return false
        }
        peers[position].clockSampled = now
        return true
    }

    mutating func clockPollIsDue(at now: Instant) -> Bool {
        guard now >= nextClockPoll else { return false }
        nextClockPoll = now.advanced(byNanoseconds: Self.clockPollNanoseconds)
        return true
    }

    /// - Parameter limit: how long each peer may be silent, in nanoseconds.
    /// - Returns: who needs a sign of life, and who has fallen silent since the last time.
    mutating func watch(at now: Instant, limit: (NodeID) -> Int64) -> (greet: [NodeID], silent: [NodeID]) {
        guard now >= nextKeepalive, !peers.isEmpty else { return ([], []) }
        nextKeepalive = now.advanced(byNanoseconds: Self.keepaliveNanoseconds / 2)
        var greet: [NodeID] = []
        var silent: [NodeID] = []
        for position in peers.indices {
            if now.nanoseconds(since: peers[position].sent) >= Self.keepaliveNanoseconds / 2 {
                greet.append(peers[position].node)
            }
            if !peers[position].isSilent, now.nanoseconds(since: peers[position].heard) > limit(peers[position].node) {
                peers[position].isSilent = true
                silent.append(peers[position].node)
            }
        }
        return (greet, silent)
    }
}

extension NodeCore {
    /// Whether a node has been heard lately. This node is always alive to itself.
    func isAlive(_ node: NodeID) -> Bool { !peers.isSilent(node) }

    func roundTripNanoseconds(to node: NodeID) -> Int64 {
        guard let own = configuration.topology.node(configuration.node)?.region,
            let other = configuration.topology.node(node)?.region
        else { return 0 }
        return configuration.topology.matrix.roundTripNanoseconds(from: own, to: other)
    }

    mutating func watchPeers(at now: Moment, _ effects: inout StepEffects) {
        let base = configuration.electionTimeoutNanoseconds
        let own = configuration.topology.node(configuration.node)?.region
        let topology = configuration.topology
        let (greet, silent) = peers.watch(at: now.instant) { peer in
            guard let own, let other = topology.node(peer)?.region else { return base }
            return base + topology.matrix.roundTripNanoseconds(from: own, to: other) / 4
        }
        for peer in greet { effects.greet(peer) }
        for peer in silent {
            // Followers of a quiescent range have no timer of their own: they wake when its leader's node is silent.
            for slot in replicas.indices
            where replicas[slot].raft.isQuiescent && replicas[slot].raft.leader == peer
                && !Planted.isOn(.quiescentNeverWakes)
            {
                with(replicas[slot].descriptor.id, at: now) { $0.raft.receive(.wake, at: now) }
            }
            abandon(peer, at: now, &effects)
        }
        if peers.clockPollIsDue(at: now.instant) { agreement.poll(at: now) }
    }
}
