import Meridian
import MeridianCheckers
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// The phases of one run (`Simulation`).
final class SimulationRun {
    private let simulation: Simulation
    private let workload: any Workload
    private let plan: FaultPlan
    private let world: SimulatedWorld
    private let nemesis: Nemesis
    private let recorder: HistoryRecorder
    private var clients: [WorkloadClient] = []
    private var recovery: Duration?
    private var lines = RecentLines()

    init(_ simulation: Simulation, _ workload: any Workload, plan: FaultPlan, trace: ((String) -> Void)?) throws {
        self.simulation = simulation
        self.workload = workload
        self.plan = plan
        var options = SimulatedWorld.Options()
        options.storage = simulation.storage
        options.rules = workload.rules(simulation.topology)
        options.clocksDrift = plan.weather.clocksDrift
        options.clocksMayLie = plan.hasClockLies
        world = try SimulatedWorld(seed: simulation.seed, topology: simulation.topology, options: options)
        nemesis = Nemesis(world.engine, plan)
        recorder = HistoryRecorder(clientCount: simulation.topology.regions.count * simulation.clientsPerRegion)
        if let trace {
            world.engine.trace = { [world, lines] line in
                let text = world.now.seconds + " " + line
                lines.append(text)
                trace(text)
            }
        }
        for region in simulation.topology.regions {
            for _ in 0..<simulation.clientsPerRegion {
                clients.append(
                    WorkloadClient(
                        process: clients.count, region: region, database: world.database(in: region), world: world,
                        recorder: recorder))
            }
        }
    }

    func run() -> SimulationReport {
        defer { world.end() }
        if setUp() {
            nemesis.begin()
            let state = Openness()
            let handles = clients.map { client in
                world.executor.start { [workload, simulation] in
                    await Self.work(client, workload, simulation.meanPause, state)
                }
            }
            world.runEvents(until: world.engine.now + simulation.length.nanoseconds) { false }
            state.isOpen = false
            nemesis.end()
            recover { handles.allSatisfy { $0.result != nil } }
            if world.invariants.violation == nil { finish() }
        }
        return report()
    }

    /// Whether clients still begin operations.
    private final class Openness: @unchecked Sendable { var isOpen = true }

    private static func work(
        _ client: WorkloadClient, _ workload: any Workload, _ meanPause: Duration, _ state: Openness
    ) async {
        let limit = Int(2 * meanPause.nanoseconds)
        while state.isOpen {
            await workload.operation(client)
            await client.world.sleep(for: .nanoseconds(client.world.randomNumber(below: limit) + 1_000))
        }
    }

    private func setUp() -> Bool {
        perform("set-up", limit: .seconds(120)) { [workload, world] in try await workload.setUp(world) }
    }

    /// Runs a task to its end; one that fails or does not end breaks liveness.
    private func perform(
        _ what: String, limit: Duration, _ body: @escaping @Sendable () async throws -> Void
    ) -> Bool {
        let handle = world.executor.start(body)
        world.runEvents(until: world.engine.now + limit.nanoseconds) { handle.result != nil }
        switch handle.result {
        case .success: return world.invariants.violation == nil
        case .failure(let error): world.invariants.report("liveness", "\(what) failed without faults: \(error)")
        case nil: world.invariants.report("liveness", "\(what) has not ended after \(limit.seconds) s without faults")
        }
        return false
    }

    /// The liveness phase.
    private func recover(_ clientsAreDone: () -> Bool) {
        guard world.invariants.violation == nil else { return }
        let start = world.engine.now
        guard serve("after the faults") else { return }
        recovery = .nanoseconds(world.engine.now - start)
        world.runEvents(until: start + simulation.livenessLimit.nanoseconds + 10_000_000_000, clientsAreDone)
        if !clientsAreDone() { world.invariants.report("liveness", "a client was never answered") }
    }

    /// - Returns: whether every range serves within the limit; if not, it is reported.
    @discardableResult
    private func serve(_ when: String) -> Bool {
        let limit = simulation.livenessLimit
        let served = world.executor.start { [world, simulation] in
            try await Self.serveEverything(world, simulation.topology, limit)
        }
        world.runEvents(until: world.engine.now + limit.nanoseconds) { served.result != nil }
        switch served.result {
        case .success: return true
        case .failure(let error): world.invariants.report("liveness", "\(limit.seconds) s \(when): \(error)")
        case nil:
            world.invariants.report("liveness", "not every range serves \(limit.seconds) s \(when)")
        }
        return false
    }

    /// A read and an empty commit on each range, through each region.
    private static func serveEverything(_ world: SimulatedWorld, _ topology: Topology, _ limit: Duration) async throws {
        let host = world.host
        let ranges =
            world.engine.nodes.compactMap { $0.core?.catalog.directory.ranges.map(\.id) }
            .max { $0.count < $1.count } ?? []
        try await withThrowingTaskGroup(of: Void.self) { group in
            for region in topology.regions {
                for range in ranges {
                    let id = RequestID(high: host.randomNumber(), low: host.randomNumber())
                    group.addTask { try await serve(range, from: region, id, host, limit) }
                }
            }
            try await group.waitForAll()
        }
    }

    private static func serve(
        _ range: RangeID, from region: Region, _ id: RequestID, _ host: SimulatedHost, _ limit: Duration
    ) async throws {
        let read = GatewayCall.Body.read(ReadRequest(timestamp: nil, operations: []))
        let commit = GatewayCall.Body.commit(CommitRequest(id: id, preconditions: [], mutations: []))
        let end = host.now.advanced(byNanoseconds: limit.nanoseconds)
        for body in [read, commit] {
            while true {
                do {
                    let answer = try await host.call(range, body, from: region, patience: limit, mayBeRepeated: true)
                    guard case .failed(let error) = answer else { break }
                    throw error
                } catch let error as MeridianError where error.retry != .never && host.now < end {
                    // A typed refusal, such as of a disk that was full a moment ago.
                    await host.pause(for: .milliseconds(50))
                }
            }
        }
    }

    /// The last reads, then quiet, then replicas are compared.
    private func finish() {
        let all = clients
        // Where a new set begins every minute, there are as many to read.
        let isDone = perform("the last reads", limit: .seconds(60) + simulation.length / 10) { [workload] in
            for client in all { await workload.finish(client) }
        }
        guard isDone else { return }
        world.runEvents(until: world.engine.now + 3_000_000_000) { false }
        world.invariants.compare()
        if let trouble = recorder.troubles.first { world.invariants.report("no client sees broken storage", trouble) }
        if world.invariants.violation == nil { outliveOneNode() }
        if world.invariants.violation == nil { judge() }
    }

    /// One node dies while all is quiet, and for good: the others must notice by themselves and serve its ranges.
    private func outliveOneNode() {
        let topology = simulation.topology
        guard plan.kinds.contains(.crash), topology.regions.allSatisfy({ topology.nodes(in: $0).count >= 3 }) else {
            return
        }
        world.engine.crash(world.engine.nodes[plan.victim])
        serve("after the death of \(world.engine.nodes[plan.victim].id)")
    }

    private func judge() {
        do {
            let isStrict = !plan.hasClockLies
            for events in recorder.histories {
                let history = try History(model: workload.model, events: events)
                if let text = try HistoryJudge.anomaly(in: history, isStrict: isStrict) {
                    return world.invariants.report(workload.model.rawValue, text)
                }
            }
            if isStrict, let text = workload.anomaly() {
                world.invariants.report(workload.rule, text)
            }
        } catch {
            world.invariants.report("the history is well-formed", "\(error)")
        }
    }

    private func report() -> SimulationReport {
        if !world.executor.escaped.isEmpty {
            world.invariants.report("nothing escapes the executor", world.executor.escaped.joined(separator: "; "))
        }
        let counters = world.engine.network.counters
        return SimulationReport(
            seed: simulation.seed, violation: world.invariants.violation, plan: plan, begun: nemesis.begun,
            eventHash: world.eventHash, eventCount: world.engine.hash.count, stepCount: world.engine.stepCount,
            virtualTime: world.now, recovery: recovery, history: recorder.events,
            histories: recorder.histories, model: workload.model,
            okCount: recorder.counts[.ok] ?? 0, failCount: recorder.counts[.fail] ?? 0,
            infoCount: recorder.counts[.info] ?? 0,
            frames: .init(
                sent: counters.sent, lost: counters.lost, duplicated: counters.duplicated,
                reordered: counters.reordered, corrupted: counters.corrupted, cut: counters.cut),
            lastLines: lines.lines)
    }
}

/// The last lines of a trace.
final class RecentLines {
    private(set) var lines: [String] = []

    func append(_ line: String) {
        if lines.count >= 400 { lines.removeFirst(200) }
        lines.append(line)
    }
}
