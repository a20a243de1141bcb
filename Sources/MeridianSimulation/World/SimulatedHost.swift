import Meridian
import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// The world as the API sees it: nodes of a region to ask, virtual time, and numbers from the seed.
final class SimulatedHost: DatabaseHost, @unchecked Sendable {
    let topology: Topology
    let tables = TableCache()
    let seal: TokenSeal
    let progress = ConvergenceProgress()
    var rules: JurisdictionRules { engine.rules }
    private let engine: Engine
    private var random: SplitMix64
    private var nextGateway = 0
    private(set) var isEnded = false
    private var readsAfterEnd: Int64 = 0
    private var paused: [UInt64: UnsafeContinuation<Void, Never>] = [:]
    private var nextPause: UInt64 = 0
    /// The calls that wait for an answer, and the node that each asked.
    private var waiting: [UInt64: (node: Int, continuation: UnsafeContinuation<GatewayAnswer.Body, Never>)] = [:]

    init(_ engine: Engine, random: SplitMix64) {
        self.engine = engine
        self.random = random
        var key = SplitMix64(seed: engine.seed ^ 0x746F_6B65_6E73)
        seal = TokenSeal(key: (0..<TokenSeal.keyByteCount).map { _ in UInt8(truncatingIfNeeded: key.next() >> 32) })
        topology = engine.topology
        engine.onAnswer = { [unowned self] _, answer in
            waiting.removeValue(forKey: answer.id.rawValue)?.continuation.resume(returning: answer.body)
        }
        engine.onProcessEnd = { [unowned self] node in processEnded(node) }
    }

    var now: Instant {
        guard isEnded else { return Instant(nanoseconds: engine.now) }
        // Whoever still waits for something sees that it is late.
        readsAfterEnd += 1
        return Instant(nanoseconds: engine.now + readsAfterEnd * 3_600_000_000_000)
    }

    func pause(for duration: Duration) async {
        guard !isEnded else { return }
        let number = nextPause
        nextPause += 1
        await withUnsafeContinuation { continuation in
            paused[number] = continuation
            engine.after(duration.nanoseconds) { [unowned self] in paused.removeValue(forKey: number)?.resume() }
        }
    }

    /// The world ends: whoever waits goes on, and finds nobody.
    func end() {
        isEnded = true
        for number in paused.keys.sorted() { paused.removeValue(forKey: number)?.resume() }
        for number in waiting.keys.sorted() {
            let error = MeridianError(.shutDown, "the world has ended", commitOutcome: .unknown)
            waiting.removeValue(forKey: number)?.continuation.resume(returning: .failed(error))
        }
    }

    func randomNumber() -> UInt64 { random.next() }

    func latestTimestamp(in region: Region) -> Timestamp? { clock(in: region)?.latest }
    func earliestTimestamp(in region: Region) -> Timestamp? { clock(in: region)?.earliest }

    private func clock(in region: Region) -> ClockInterval? {
        let running = engine.nodes.lazy.filter { $0.descriptor.region == region }
        return running.compactMap { $0.core?.clockTrust.clock(at: self.engine.moment($0)) }.first(where: \.isKnown)
    }

    func call(
        _ range: RangeID, _ body: GatewayCall.Body, from region: Region, patience: Duration, mayBeRepeated: Bool
    ) async throws -> GatewayAnswer.Body {
        guard !isEnded else { throw MeridianError(.shutDown, "the world has ended") }
        guard let node = gateway(in: region, for: range, prefersReplica: body.isForReplicas) else {
            // Nobody to ask: a moment passes, so that whoever asks again at once does not ask for ever in no time.
            await pause(for: .milliseconds(1))
            throw MeridianError(
                .unavailable, "no node of region \(region) is running; use a database in another region",
                retry: .after(.seconds(1)))
        }
        let number = engine.takeCallNumber()
        let call = GatewayCall(
            id: GatewayRequestID(rawValue: number), range: range, body: body,
            deadline: engine.moment(node).instant.advanced(byNanoseconds: patience.nanoseconds),
            mayBeRepeated: mayBeRepeated)
        return await withUnsafeContinuation { continuation in
            waiting[number] = (node.position, continuation)
            // Not inside of a client's job: a step of a node is an event of its own.
            engine.schedule(.completed(node: node.position, incarnation: node.incarnation, [.call(call)]), after: 0)
        }
    }

    /// The range's leaseholder if it is in the region, else the next of those that run.
    private func gateway(in region: Region, for range: RangeID, prefersReplica: Bool) -> SimulatedNode? {
        let local = engine.nodes.filter { $0.descriptor.region == region && $0.isRunning }
        if let leader = local.first(where: { node in
            node.core?.slot(of: range).map { node.core!.replicas[$0].raft.role == .leader } ?? false
        }) {
            return leader
        }
        if prefersReplica, let near = local.first(where: { $0.core?.slot(of: range) != nil }) { return near }
        guard !local.isEmpty else { return nil }
        nextGateway &+= 1
        return local[nextGateway % local.count]
    }

    /// Calls to a process that has ended get the answer that its driver gives.
    private func processEnded(_ node: SimulatedNode) {
        for number in waiting.filter({ $0.value.node == node.position }).keys.sorted() {
            let error = MeridianError(
                .shutDown, "node \(node.id) has stopped; ask another node of the region", retry: .immediately,
                commitOutcome: .unknown)
            waiting.removeValue(forKey: number)?.continuation.resume(returning: .failed(error))
        }
    }
}
