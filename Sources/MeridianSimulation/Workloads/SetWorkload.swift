import Meridian
import MeridianCheckers
import MeridianCore

/// Adds to one set whose elements are at home in different regions, and reads of all of it at one timestamp. As `set`:
/// what was acknowledged is found for ever after (durability). As `causal`: an element is never seen without those that
/// were acknowledged before it was added, the "comments" of Spanner's and CockroachDB's discussions (reliability.md,
/// FC 1).
///
/// Each read takes all of a set, so a set that grew for an hour would cost its square. Every minute a new one begins,
/// which promises what the first one did: each is a part of the history that is judged by itself. At the end the last
/// reads go through all of them.
struct SetWorkload: Workload {
    let model: HistoryModel
    private let table: Table<ElementRow>
    private let regions: [Region]

    init(_ topology: Topology, model: HistoryModel) {
        self.model = model
        regions = topology.regions
        table = Table("elements", keyColumns: ["part", "id"], locality: .regionalByRow(\.region))
    }

    func setUp(_ world: SimulatedWorld) async throws { try await world.database(in: regions[0]).create(table) }

    func operation(_ client: WorkloadClient) async {
        let part = SetParts.now(client)
        if client.world.randomNumber(below: 3) == 0 { return await read(part, client) }
        let element = client.recorder.uniqueValue()
        let home = regions[client.world.randomNumber(below: regions.count)].rawValue
        let table = table
        await client.record(.add(element), part: part) {
            try await client.database.write(deadline: client.deadline) {
                try await $0.insert(ElementRow(part: part, id: element, region: home), into: table)
            }
            return .add(element)
        }
    }

    private func read(_ part: Int, _ client: WorkloadClient) async {
        let table = table
        await client.record(.elements(nil), part: part) {
            let rows = try await client.database.read(deadline: client.deadline) {
                try await $0.scan(table, prefix: part)
            }
            return .elements(rows.map(\.id).sorted())
        }
    }

    func finish(_ client: WorkloadClient) async { for part in SetParts.toFinish(client) { await read(part, client) } }
}

struct ElementRow: Codable, Sendable {
    var part: Int
    var id: Int
    var region: String
}

/// When one set gives way to the next.
private enum SetParts {
    private static let nanoseconds: Int64 = 60_000_000_000

    static func now(_ client: WorkloadClient) -> Int { Int(client.world.now.nanoseconds / nanoseconds) }

    /// Everybody reads the newest at the end; the others are shared out, a region's clients reading the same ones.
    static func toFinish(_ client: WorkloadClient) -> [Int] {
        let regions = client.world.topology.regions
        let place = regions.firstIndex(of: client.region) ?? 0
        let newest = now(client)
        return (0...newest).filter { $0 == newest || $0 % regions.count == place }
    }
}

struct SecretRow: Codable, Sendable {
    var part: Int
    var id: Int
    var region: String
    var secret: String
}

/// Rows that are restricted to their jurisdiction, each with a canary that must never stand in a file elsewhere; the
/// rows themselves are checked as sets, of which a new one begins every minute (`SetWorkload`).
struct ResidencyWorkload: Workload {
    let model = HistoryModel.set
    private let table: Table<SecretRow>

    init(_ topology: Topology) {
        table = Table(
            "secrets", keyColumns: ["part", "id"], locality: .regionalByRow(\.region), placement: .restricted)
    }

    func setUp(_ world: SimulatedWorld) async throws {
        for region in world.topology.regions {
            world.pin(Array(Self.canary(region).utf8), in: world.topology.jurisdiction(of: region))
        }
        let database = world.database(in: world.topology.regions[0])
        // Where a jurisdiction has one region only, its rows cannot survive the loss of that region elsewhere.
        if world.topology.regions.contains(where: { Self.standsAlone($0, in: world.topology) }) {
            let greedy = Table<SecretRow>(
                "greedy-secrets", keyColumns: ["part", "id"], locality: .regionalByRow(\.region), survival: .region,
                placement: .restricted)
            do {
                try await database.create(greedy)
            } catch let error as MeridianError where error.retry == .never {
                return try await database.create(table)
            }
            throw MeridianError(
                .invalidTopology, "restricted rows are to survive the loss of the only region that may hold them")
        }
        try await database.create(table)
    }

    private static func standsAlone(_ region: Region, in topology: Topology) -> Bool {
        let law = topology.jurisdiction(of: region)
        return topology.regions.count { topology.jurisdiction(of: $0) == law } == 1
    }

    private static func canary(_ region: Region) -> String { "canary<\(region)>" }

    func operation(_ client: WorkloadClient) async {
        let part = SetParts.now(client)
        if client.world.randomNumber(below: 4) == 0 { return await read(part, client) }
        let element = client.recorder.uniqueValue()
        let (table, region) = (table, client.region)
        await client.record(.add(element), part: part) {
            try await client.database.write(deadline: client.deadline) {
                let row = SecretRow(part: part, id: element, region: region.rawValue, secret: Self.canary(region))
                try await $0.insert(row, into: table)
            }
            return .add(element)
        }
    }

    private func read(_ part: Int, _ client: WorkloadClient) async {
        let table = table
        await client.record(.elements(nil), part: part) {
            let rows = try await client.database.read(deadline: client.deadline) {
                try await $0.scan(table, prefix: part)
            }
            return .elements(rows.map(\.id).sorted())
        }
    }

    func finish(_ client: WorkloadClient) async { for part in SetParts.toFinish(client) { await read(part, client) } }
}
