import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// What a node knows of its peers' life: when each was heard last. Nodes that have nothing to say send an empty frame
/// now and then, so silence means something even between nodes whose ranges are quiescent.
struct Peers: Sendable {
    private struct Peer: Sendable {
        let node: NodeID
        let region: Region
        /// For how long it may be silent, in nanoseconds.
        let patience: Int64
        var heard: Instant
        var sent: Instant
        /// When the peer sent the frame that was heard last, by its own clock.
        var peerSent: Instant?
        var clockSampled: Instant?
        var isSilent = false
        /// When it was heard again after it had been silent.
        var returned: Instant?
        var isReadOnly = false
    }

    /// Sorted by node.
    private var peers: [Peer]
    private(set) var nextKeepalive: Instant
    private var nextClockPoll: Instant

    static let keepaliveNanoseconds = ClusterTiming.keepaliveNanoseconds
    private static let clockPollNanoseconds: Int64 = 500_000_000

    /// A sign of life may come this much early, so that one look serves all peers.
    private static let slackNanoseconds = keepaliveNanoseconds / 2

    /// All nodes of the topology but this one.
    init(_ configuration: NodeConfiguration, at now: Instant) {
        let topology = configuration.topology
        let own = topology.node(configuration.node)?.region
        peers = topology.nodes.filter { $0.id != configuration.node }.map { descriptor in
            let distance = own.map { topology.matrix.roundTripNanoseconds(from: $0, to: descriptor.region) } ?? 0
            return Peer(
                node: descriptor.id, region: descriptor.region,
                patience: configuration.electionTimeoutNanoseconds + distance / 4, heard: now, sent: now)
        }
        peers.sort { $0.node < $1.node }
        nextKeepalive = peers.isEmpty ? .distantFuture : now
        nextClockPoll = now.advanced(byNanoseconds: Self.clockPollNanoseconds)
    }

    private func position(_ node: NodeID) -> Int? { peers.firstIndex { $0.node == node } }

    /// - Returns: whether the sender's clock is to be looked at; it is asked for twice a second at most.
    mutating func noteHeard(_ frame: NodeFrame, at now: Instant, wantsClock: Bool) -> Bool {
        guard let position = position(frame.from) else { return false }
        peers[position].isReadOnly = frame.isReadOnly
        peers[position].peerSent = frame.sent
        peers[position].heard = now
        if peers[position].isSilent {
            peers[position].isSilent = false
            peers[position].returned = now
        }
        guard wantsClock else { return false }
        if let sampled = peers[position].clockSampled,
            now.nanoseconds(since: sampled) < Self.clockPollNanoseconds
        {
            return false
        }
        peers[position].clockSampled = now
        return true
    }

    /// A frame goes to a peer.
    /// - Returns: what it says of the last one that came from there.
    mutating func noteSent(to node: NodeID, at now: Instant) -> FrameEcho? {
        guard let position = position(node) else { return nil }
        peers[position].sent = now
        guard let sent = peers[position].peerSent else { return nil }
        return FrameEcho(sent: sent, heldNanoseconds: now.nanoseconds(since: peers[position].heard))
    }

    func isSilent(_ node: NodeID) -> Bool { position(node).map { peers[$0].isSilent } ?? false }

    /// Whether a silent node's sign of life is probably on its way: another node of its region has just come back. A
    /// region that was cut off comes back as a whole, but its nodes are heard one by one.
    func isReturning(_ node: NodeID, at now: Instant) -> Bool {
        guard let position = position(node), peers[position].isSilent else { return false }
        return peers.contains { peer in
            guard peer.region == peers[position].region, let returned = peer.returned else { return false }
            return now.nanoseconds(since: returned) < 2 * Self.keepaliveNanoseconds
        }
    }

    /// Whether a node was heard lately and can write, as far as it has said.
    func canLead(_ node: NodeID) -> Bool {
        position(node).map { !peers[$0].isSilent && !peers[$0].isReadOnly } ?? false
    }

    mutating func clockPollIsDue(at now: Instant) -> Bool {
        guard now >= nextClockPoll else { return false }
        nextClockPoll = now.advanced(byNanoseconds: Self.clockPollNanoseconds)
        return true
    }

    /// - Parameter greet: is given those who need a sign of life.
    /// - Returns: who has fallen silent since the last time.
    mutating func watch(at now: Instant, greet: (NodeID) -> Void) -> [NodeID] {
        guard now >= nextKeepalive, !peers.isEmpty else { return [] }
        var silent: [NodeID] = []
        var next = Self.keepaliveNanoseconds
        for position in peers.indices {
            let quiet = now.nanoseconds(since: peers[position].sent)
            if quiet + Self.slackNanoseconds >= Self.keepaliveNanoseconds {
                greet(peers[position].node)
            } else {
                next = min(next, Self.keepaliveNanoseconds - quiet)
            }
            guard !peers[position].isSilent else { continue }
            let left = peers[position].patience - now.nanoseconds(since: peers[position].heard)
            if left <= 0 {
                peers[position].isSilent = true
                silent.append(peers[position].node)
            } else {
                next = min(next, left)
            }
        }
        nextKeepalive = now.advanced(byNanoseconds: next)
        return silent
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
        for peer in peers.watch(at: now.instant, greet: { effects.greet($0) }) {
            // Followers of a quiescent range have no timer of their own: they wake when its leader's node is silent.
            for slot in replicas.indices
            where replicas[slot].raft.isQuiescent && replicas[slot].raft.leader == peer
                && !Planted.isOn(.quiescentNeverWakes)
            {
                with(replicas[slot].descriptor.id, at: now) { $0.raft.receive(.wake, at: now) }
            }
            abandon(peer, at: now, &effects)
        }
        if peers.clockPollIsDue(at: now.instant) { judgeClock(at: now.instant) }
    }
}
