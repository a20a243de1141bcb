import Meridian
import MeridianCheckers
import MeridianCore

struct ListRow: Codable, Sendable {
    var id: Int
    var region: String
    var values: [Int]
}

/// Where a workload's rows are at home.
struct RowSpread: Sendable {
    private let regions: [Region]

    /// - Parameter isWide: in all regions, so that most transactions take several ranges; else in the first.
    init(_ topology: Topology, isWide: Bool) { regions = isWide ? topology.regions : [topology.regions[0]] }

    func home(of id: Int) -> Region { regions[id % regions.count] }

    func locality<Row: Codable & Sendable>(
        _ region: any KeyPath<Row, String> & Sendable
    ) -> TableLocality<Row> {
        regions.count > 1 ? .regionalByRow(region) : .regional(in: regions[0])
    }
}

/// Transactions of a few steps that append to lists and read them whole: strictly serializable, and the versions of a
/// list show their own order (Kingsbury and Alvaro, "Elle", VLDB 2020, section 4).
struct ListAppendWorkload: Workload {
    let model = HistoryModel.append
    let table: Table<ListRow>
    private let spread: RowSpread
    private static let keys = 6
    /// A list that has grown this long gives way to a new one: reading all of it grows dear.
    private static let longest = 40

    init(_ topology: Topology, isWide: Bool, survival: SurvivalGoal? = nil) {
        spread = RowSpread(topology, isWide: isWide)
        table = Table("lists", key: \.id, locality: spread.locality(\.region), survival: survival ?? .best(topology))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        try await world.database(in: world.topology.regions[0]).create(table)
    }

    func operation(_ client: WorkloadClient) async {
        let world = client.world
        // Keys wander with time, so that every list stays short.
        let epoch = Int(world.now.nanoseconds / 20_000_000_000) * Self.keys
        var steps: [TransactionStep] = []
        for _ in 0...world.randomNumber(below: 4) {
            let key = HistoryKey.int(epoch + world.randomNumber(below: Self.keys))
            steps.append(
                world.randomNumber(below: 2) == 0
                    ? .append(key, client.recorder.uniqueValue()) : .readList(key, nil))
        }
        await run(steps, client)
    }

    private func run(_ steps: [TransactionStep], _ client: WorkloadClient) async {
        let (table, spread) = (table, spread)
        if steps.allSatisfy({ if case .readList = $0 { true } else { false } }) {
            await client.record(.transaction(steps)) {
                try await client.database.read(deadline: client.deadline) { transaction in
                    var seen: [TransactionStep] = []
                    for case .readList(.int(let id), _) in steps {
                        let row = try await transaction.get(id, from: table, in: spread.home(of: id))
                        seen.append(.readList(.int(id), row?.values))
                    }
                    return .transaction(seen)
                }
            }
            return
        }
        let parts = TransactionParts(steps, client.world)
        await client.record(.transaction(parts.asked)) {
            let seen = try await client.database.transact(deadline: client.deadline) { transaction in
                try await parts.run(transaction) { step in
                    switch step {
                    case .append(.int(let id), let value):
                        let home = spread.home(of: id)
                        var row =
                            try await transaction.get(id, from: table, in: home)
                            ?? ListRow(id: id, region: home.rawValue, values: [])
                        if row.values.count >= Self.longest { throw WorkloadClient.Abandoned() }
                        row.values.append(value)
                        try await transaction.upsert(row, into: table)
                        return step
                    case .readList(.int(let id), _):
                        let row = try await transaction.get(id, from: table, in: spread.home(of: id))
                        return .readList(.int(id), row?.values)
                    case .append, .readList, .write, .read: preconditionFailure("a step of another workload")
                    }
                }
            }
            return .transaction(seen.result)
        }
    }
}

/// The same with registers that are read and overwritten: what was overwritten unseen stays unknown, so fewer orders
/// can be inferred, but writes need not read first (Elle, section 5).
struct RegistersWorkload: Workload {
    let model = HistoryModel.registers
    private let table: Table<HomedRow>
    private let spread: RowSpread
    private static let keys = 6

    init(_ topology: Topology, isWide: Bool) {
        spread = RowSpread(topology, isWide: isWide)
        table = Table("registers", key: \.id, locality: spread.locality(\.region), survival: .best(topology))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        try await world.database(in: world.topology.regions[0]).create(table)
    }

    func operation(_ client: WorkloadClient) async {
        let world = client.world
        var steps: [TransactionStep] = []
        for _ in 0...world.randomNumber(below: 3) {
            let key = HistoryKey.int(world.randomNumber(below: Self.keys))
            switch world.randomNumber(below: 3) {
            case 0: steps.append(.read(key, nil))
            case 1: steps.append(.write(key, client.recorder.uniqueValue()))
            default: steps += [.read(key, nil), .write(key, client.recorder.uniqueValue())]
            }
        }
        let (parts, table, spread) = (TransactionParts(steps, world), table, spread)
        await client.record(.transaction(parts.asked)) {
            let seen = try await client.database.transact(deadline: client.deadline) { transaction in
                try await parts.run(transaction) { step in
                    switch step {
                    case .write(.int(let id), let value):
                        let row = HomedRow(id: id, region: spread.home(of: id).rawValue, value: value)
                        try await transaction.upsert(row, into: table)
                        return step
                    case .read(.int(let id), _):
                        let row = try await transaction.get(id, from: table, in: spread.home(of: id))
                        return .read(.int(id), row?.value)
                    case .append, .readList, .write, .read: preconditionFailure("a step of another workload")
                    }
                }
            }
            return .transaction(seen.result)
        }
    }
}

struct HomedRow: Codable, Sendable {
    var id: Int
    var region: String
    var value: Int
}

/// Writes to single rows at home in different regions, and transactions that read several of them: two readers must
/// not see two writes in opposite orders (long fork; Cerone and others, "Transaction Chopping for Parallel Snapshot
/// Isolation", 2015).
struct LongForkWorkload: Workload {
    let model = HistoryModel.longFork
    private let table: Table<HomedRow>
    private let regions: [Region]

    init(_ topology: Topology) {
        regions = topology.regions
        table = Table("forks", key: \.id, locality: .regionalByRow(\.region))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        try await world.database(in: regions[0]).create(table)
    }

    func operation(_ client: WorkloadClient) async {
        let (world, table) = (client.world, table)
        if world.randomNumber(below: 2) == 0 {
            let id = client.recorder.uniqueValue()
            let home = regions[id % regions.count].rawValue
            await client.record(.transaction([.write(.int(id), 1)])) {
                try await client.database.write(deadline: client.deadline) {
                    try await $0.insert(HomedRow(id: id, region: home, value: 1), into: table)
                }
                return .transaction([.write(.int(id), 1)])
            }
            return
        }
        let newest = client.recorder.newestValue
        let ids = (0..<4).map { newest - $0 }.filter { $0 > 0 }
        let regions = regions
        await client.record(.transaction(ids.map { .read(.int($0), nil) })) {
            try await client.database.read(deadline: client.deadline) { transaction in
                var seen: [TransactionStep] = []
                for id in ids {
                    let row = try await transaction.get(id, from: table, in: regions[id % regions.count])
                    seen.append(.read(.int(id), row?.value))
                }
                return .transaction(seen)
            }
        }
    }
}
