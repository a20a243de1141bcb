import Meridian
import MeridianCheckers
import MeridianCore
import MeridianPlacement

/// What clients do while the world falls apart, and which checker judges the history of it.
///
/// A workload uses the ordinary API. Each client runs `operation` again and again, one at a time, with pauses that the
/// seed draws, and records what it asked and what it was told. Write your own to test your own service: the history is
/// an ordinary one and can be written to a file and judged by any checker of its model.
public protocol Workload: Sendable {
    /// What the history of this workload is, and so who judges it.
    var model: HistoryModel { get }
    /// Faults under which nothing is promised of what it does.
    var excluded: Set<FaultKind> { get }
    /// What the laws ask in its world.
    func rules(_ topology: Topology) -> JurisdictionRules
    /// Makes tables and first rows, before any fault.
    func setUp(_ world: SimulatedWorld) async throws
    /// One operation of one client.
    func operation(_ client: WorkloadClient) async
    /// Operations after the faults, such as the reads that must find all that was acknowledged.
    func finish(_ client: WorkloadClient) async
    /// What the workload itself finds wrong with what its clients saw, at the end of a run whose clocks did not lie.
    func anomaly() -> String?
    /// The name under which that is reported.
    var rule: String { get }
}

extension Workload {
    public var excluded: Set<FaultKind> { [] }
    public func rules(_ topology: Topology) -> JurisdictionRules { .none }
    public func finish(_ client: WorkloadClient) async {}
    public func anomaly() -> String? { nil }
    public var rule: String { "reads at a chosen time" }
}

/// The workloads that come with the library, by name.
public enum Workloads {
    public static let names = [
        "append", "registers", "register", "bank", "set", "causal", "long-fork", "residency", "append-wide",
        "registers-wide", "bank-wide", "stale", "modes", "mixed", "sessions", "active-active",
    ]

    /// - Throws: `SimulationError.unknownWorkload`, which lists the known ones.
    public static func named(_ name: String, topology: Topology) throws(SimulationError) -> any Workload {
        switch name {
        case "append": ListAppendWorkload(topology, isWide: false)
        case "append-wide": ListAppendWorkload(topology, isWide: true)
        case "registers": RegistersWorkload(topology, isWide: false)
        case "registers-wide": RegistersWorkload(topology, isWide: true)
        case "register": RegisterWorkload(topology)
        case "bank": BankWorkload(topology, isWide: false)
        case "bank-wide": BankWorkload(topology, isWide: true)
        case "set": SetWorkload(topology, model: .set)
        case "causal": SetWorkload(topology, model: .causal)
        case "long-fork": LongForkWorkload(topology)
        case "residency": ResidencyWorkload(topology)
        case "stale": StaleWorkload(topology)
        case "modes": ModesWorkload(topology)
        case "mixed": MixedWorkload(topology)
        case "failover": FailoverWorkload(topology)
        case "sessions": SessionWorkload(topology)
        case "active-active": ActiveActiveWorkload(topology)
        default: throw .unknownWorkload(name, known: names)
        }
    }
}

/// One client: where it is, and the pen with which it records.
public struct WorkloadClient: Sendable {
    /// Names the client. In the history it goes under further names once an operation of its ends unknown.
    public let process: Int
    public let region: Region
    public let database: Database
    public let world: SimulatedWorld
    let recorder: HistoryRecorder

    /// How long a client waits for an answer.
    public var deadline: Duration { .seconds(5) }

    /// Records an operation: what is asked, then what came of it.
    /// - Parameters:
    ///   - part: which part of the history it belongs to. Parts have nothing to do with each other, and each is judged
    ///     by itself, as the history of one of several sets.
    ///   - body: does it, and returns what it saw.
    public func record(_ asked: HistoryValue, part: Int = 0, _ body: () async throws -> HistoryValue) async {
        recorder.note(.invoke, asked, part, self)
        do {
            recorder.note(.ok, try await body(), part, self)
        } catch let error as MeridianError {
            recorder.note(error.commitOutcome == .unknown ? .info : .fail, asked, part, self)
            // A node that finds bad bytes must leave the answer to another.
            if error.code == .corruption { recorder.troubles.append("\(error)") }
        } catch is Abandoned {
            recorder.note(.fail, asked, part, self)
        } catch {
            recorder.note(.info, asked, part, self)
        }
    }

    /// Thrown out of a transaction that is given up on purpose: nothing was written.
    struct Abandoned: Error {}
}

/// Writes the events of all clients down, in the order in which they happen. Only the world's thread uses it.
///
/// A process ends with an operation of unknown outcome, since that may still happen while it would go on. A client goes
/// on as another process then.
final class HistoryRecorder: @unchecked Sendable {
    private let clientCount: Int
    /// How often each client has become another process.
    private var rebirths: [Int: Int] = [:]
    private(set) var events: [HistoryEvent] = []
    /// The part of each event.
    private var parts: [Int] = []
    private(set) var counts: [HistoryEvent.Phase: Int] = [:]
    /// Errors that no client should ever see.
    var troubles: [String] = []
    /// The highest value that an operation writes so far.
    private(set) var newestValue = 0

    init(clientCount: Int) { self.clientCount = clientCount }

    func note(_ phase: HistoryEvent.Phase, _ value: HistoryValue, _ part: Int, _ client: WorkloadClient) {
        let process = client.process + clientCount * rebirths[client.process, default: 0]
        if phase == .info { rebirths[client.process, default: 0] += 1 }
        parts.append(part)
        counts[phase, default: 0] += 1
        events.append(
            HistoryEvent(
                index: events.count, process: process, phase: phase, value: value,
                time: Int(client.world.now.nanoseconds), region: client.region.rawValue))
    }

    /// The events by part, in the order of the parts.
    var histories: [[HistoryEvent]] {
        let byPart = Dictionary(grouping: zip(parts, events), by: \.0)
        return byPart.keys.sorted().map { part in byPart[part]!.map(\.1) }
    }

    /// A value that no other operation writes.
    func uniqueValue() -> Int {
        newestValue += 1
        return newestValue
    }
}
