import Foundation
import HeapModule
import MeridianCore
import MeridianReplica
import Synchronization

/// Links between nodes of one process, as long as the real ones: each frame arrives after half the round trip that the
/// latency matrix gives, plus jitter, in the order in which it was sent.
///
/// The delay is on the wire and not at the sender: a sender goes on at once, and any number of frames can be under
/// way on a link. Links deliver in order, as TCP does; a frame to or from a node that is cut off is lost.
///
/// Without delay a frame is handed over in the sender's call, so a cluster without distance costs no thread hop here.
package final class InProcessNetwork: Sendable {
    package typealias Receiver = @Sendable (NodeFrame) -> Void

    private struct Delivery: Comparable {
        var at: Int64
        /// Breaks ties in the order of sending.
        var sequence: UInt64
        var frame: NodeFrame

        static func < (lhs: Delivery, rhs: Delivery) -> Bool { (lhs.at, lhs.sequence) < (rhs.at, rhs.sequence) }
        static func == (lhs: Delivery, rhs: Delivery) -> Bool { lhs.sequence == rhs.sequence }
    }

    private struct State {
        var receivers: [NodeID: Receiver] = [:]
        var deliveries = Heap<Delivery>()
        var lastArrival: [Link: Int64] = [:]
        var cut: Set<NodeID> = []
        var cutRegions: Set<Region> = []
        var nextSequence: UInt64 = 0
        var jitter: SplitMix64
        var isStopped = false
        var frames: UInt64 = 0
    }

    private struct Link: Hashable {
        var from: NodeID
        var to: NodeID
    }

    private let topology: Topology
    private let regions: [NodeID: Region]
    private let jitterFraction: Double
    private let state: Mutex<State>
    private let wake = WakeSignal()

    /// - Parameter jitterFraction: each frame takes up to this share longer than its link is long.
    package init(topology: Topology, jitterFraction: Double, seed: UInt64) {
        precondition(jitterFraction >= 0, "negative jitter \(jitterFraction)")
        self.topology = topology
        self.regions = Dictionary(uniqueKeysWithValues: topology.nodes.map { ($0.id, $0.region) })
        self.jitterFraction = jitterFraction
        self.state = Mutex(State(jitter: SplitMix64(seed: seed)))
        let thread = Thread { [self] in deliver() }
        thread.name = "meridian.network"
        thread.start()
    }

    package func attach(_ node: NodeID, _ receiver: @escaping Receiver) {
        state.withLock { $0.receivers[node] = receiver }
    }

    package func detach(_ node: NodeID) {
        state.withLock { $0.receivers[node] = nil }
    }

    /// Loses every frame to and from a node until `heal`.
    package func cut(_ node: NodeID) { state.withLock { _ = $0.cut.insert(node) } }
    package func heal(_ node: NodeID) { state.withLock { _ = $0.cut.remove(node) } }

    /// Loses every frame between a region's nodes and all others until `heal`. Within the region they hear each other.
    package func cut(_ region: Region) { state.withLock { _ = $0.cutRegions.insert(region) } }
    package func heal(_ region: Region) { state.withLock { _ = $0.cutRegions.remove(region) } }

    package var frameCount: UInt64 { state.withLock { $0.frames } }

    package func stop() {
        state.withLock { $0.isStopped = true }
        wake.signal()
    }

    package func send(_ frame: NodeFrame) {
        let delay = delayNanoseconds(from: frame.from, to: frame.to)
        let now = MonotonicTime.nanoseconds()
        var isFirst = false
        let receiver: Receiver? = state.withLock { state in
            guard !isCut(frame, state), !state.isStopped else { return nil }
            state.frames += 1
            if delay == 0 { return state.receivers[frame.to] }
            let jitter = jitterFraction > 0 ? Double(state.jitter.next() >> 11) * 0x1p-53 * jitterFraction : 0
            let link = Link(from: frame.from, to: frame.to)
            let at = max(now + delay + Int64(Double(delay) * jitter), state.lastArrival[link] ?? 0)
            state.lastArrival[link] = at
            isFirst = state.deliveries.min.map { at < $0.at } ?? true
            state.deliveries.insert(Delivery(at: at, sequence: state.nextSequence, frame: frame))
            state.nextSequence += 1
            return nil
        }
        receiver?(frame)
        if isFirst { wake.signal() }
    }

    private func isCut(_ frame: NodeFrame, _ state: borrowing State) -> Bool {
        if state.cut.contains(frame.from) || state.cut.contains(frame.to) { return true }
        guard !state.cutRegions.isEmpty, let origin = regions[frame.from], let destination = regions[frame.to],
            origin != destination
        else { return false }
        return state.cutRegions.contains(origin) || state.cutRegions.contains(destination)
    }

    private func delayNanoseconds(from: NodeID, to: NodeID) -> Int64 {
        guard let origin = regions[from], let destination = regions[to] else { return 0 }
        return topology.matrix.oneWayNanoseconds(from: origin, to: destination)
    }

    private func deliver() {
        WakeSignal.wakeThisThreadOnTime()
        while true {
            let now = MonotonicTime.nanoseconds()
            var due: [(Receiver, NodeFrame)] = []
            let (next, isStopped): (Int64?, Bool) = state.withLock { state in
                while let delivery = state.deliveries.min, delivery.at <= now {
                    state.deliveries.removeMin()
                    let frame = delivery.frame
                    guard !isCut(frame, state) else { continue }
                    if let receiver = state.receivers[frame.to] { due.append((receiver, frame)) }
                }
                return (state.deliveries.min?.at, state.isStopped)
            }
            if isStopped { return }
            for (receiver, frame) in due { receiver(frame) }
            if due.isEmpty { wake.wait(untilNanoseconds: next) }
        }
    }
}
