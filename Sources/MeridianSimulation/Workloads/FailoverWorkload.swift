import Meridian
import MeridianCheckers
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Sets in tables that fail over by themselves when their home region is lost.
///
/// In the semi-synchronous table nothing that was acknowledged may ever be missing, as in `set`. In the asynchronous
/// one a failover may leave commits behind, but none silently: at the end every acknowledged element is in the table,
/// or in the report of a node that came back with it.
struct FailoverWorkload: Workload {
    let model = HistoryModel.set
    private let safe: Table<ElementRow>
    private let fast: Table<ElementRow>
    private let regions: [Region]
    private let account = Account()

    /// What clients of the asynchronous table were told, and what they read at the end.
    private final class Account: @unchecked Sendable {
        var acknowledged: Set<Int> = []
        var found: Set<Int>?
        weak var world: SimulatedWorld?
    }

    init(_ topology: Topology) {
        regions = topology.regions
        safe = Table(
            "safe", keyColumns: ["part", "id"], locality: .regionalByRow(\.region),
            mode: .semiSynchronous(remoteRegions: 1), failover: .automatic)
        fast = Table(
            "fast", keyColumns: ["part", "id"], locality: .regionalByRow(\.region), mode: .asynchronous,
            failover: .automatic)
    }

    func setUp(_ world: SimulatedWorld) async throws {
        account.world = world
        world.startKeepers()
        try await world.database(in: regions[0]).create(safe, deadline: .seconds(60))
        try await world.database(in: regions[0]).create(fast, deadline: .seconds(60))
    }

    func operation(_ client: WorkloadClient) async {
        let element = client.recorder.uniqueValue()
        let row = ElementRow(part: 0, id: element, region: regions[element % regions.count].rawValue)
        let (safe, fast) = (safe, fast)
        switch client.world.randomNumber(below: 4) {
        case 0: await read(client)
        case 1:
            let written = try? await client.database.write(deadline: client.deadline) {
                try await $0.insert(row, into: fast)
            }
            if written != nil { account.acknowledged.insert(element) }
        default:
            await client.record(.add(element)) {
                try await client.database.write(deadline: client.deadline) { try await $0.insert(row, into: safe) }
                return .add(element)
            }
        }
    }

    private func read(_ client: WorkloadClient) async {
        let safe = safe
        await client.record(.elements(nil)) {
            let rows = try await client.database.read(deadline: client.deadline) { try await $0.scan(safe, prefix: 0) }
            return .elements(rows.map(\.id).sorted())
        }
    }

    func finish(_ client: WorkloadClient) async {
        await read(client)
        let fast = fast
        guard account.found == nil else { return }
        let rows = try? await client.database.read(deadline: .seconds(20)) { try await $0.scan(fast, prefix: 0) }
        if let rows { account.found = Set(rows.map(\.id)) }
    }

    func anomaly() -> String? {
        guard let found = account.found, let world = account.world else {
            return "the asynchronous table could not be read at the end"
        }
        let reported = world.salvagedIntegers()
        let missing = account.acknowledged.subtracting(found).subtracting(reported).sorted()
        guard let first = missing.first else { return nil }
        return
            "\(missing.count) acknowledged elements of the asynchronous table, \(first) the first, are neither in "
            + "it nor in a report"
    }
}

extension SimulatedWorld {
    /// The last integer of each key that failovers have left behind and nodes have reported.
    fileprivate func salvagedIntegers() -> Set<Int> {
        var found: Set<Int> = []
        func add(_ key: Key) {
            guard var decoder = try? KeyDecoder(key), let values = try? decoder.values() else { return }
            if case .integer(let id)? = values.last { found.insert(Int(id)) }
        }
        for salvage in engine.nodes.flatMap(\.salvaged) {
            for entry in salvage.entries {
                guard case .command(let command) = entry.payload else { continue }
                for mutation in command.mutations { add(mutation.key) }
            }
            for row in salvage.rows { add(row.key) }
        }
        return found
    }
}
