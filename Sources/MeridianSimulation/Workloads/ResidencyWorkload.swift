import Meridian
import MeridianCheckers
import MeridianCore
import MeridianPlacement

/// Rows that are restricted to their jurisdiction, each with a canary in its key and in a value, which must never stand
/// in a file or a frame elsewhere (`PinnedBytes`); the rows themselves are checked as sets, of which a new one begins
/// every minute (`SetWorkload`).
///
/// The first region's law lets nobody outside read, nor its own clients look elsewhere for keys: its rows are a set of
/// their own. Clients of the others try to read them, and must be refused.
struct ResidencyWorkload: Workload {
    let model = HistoryModel.set
    private let table: Table<SecretRow>
    private let open: [Region]
    private let closed: [Region]
    /// What clients outside were given of closed rows.
    private let given = GivenRows()

    init(_ topology: Topology) {
        table = Table(
            "secrets", keyColumns: ["part", "id", "mark"], locality: .regionalByRow(\.region), placement: .restricted)
        let law = topology.jurisdiction(of: topology.regions[0])
        closed = topology.regions(in: law)
        open = topology.regions.filter { topology.jurisdiction(of: $0) != law }
    }

    func rules(_ topology: Topology) -> JurisdictionRules {
        let rule = JurisdictionRule(
            jurisdiction: topology.jurisdiction(of: topology.regions[0]), readsFromOutside: .refused,
            lookupsOutside: .refused)
        return (try? JurisdictionRules([rule])) ?? .none
    }

    func setUp(_ world: SimulatedWorld) async throws {
        for region in world.topology.regions {
            world.pin(Array(Self.canary(region).utf8), in: world.topology.jurisdiction(of: region))
        }
        let database = world.database(in: world.topology.regions[0])
        // Where a jurisdiction has one region only, its rows cannot survive the loss of that region elsewhere.
        if world.topology.regions.contains(where: { Self.standsAlone($0, in: world.topology) }) {
            let greedy = Table<SecretRow>(
                "greedy-secrets", keyColumns: ["part", "id", "mark"], locality: .regionalByRow(\.region),
                survival: .region, placement: .restricted)
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
        let part = part(of: SetParts.now(client), client)
        switch client.world.randomNumber(below: 8) {
        case 0, 1: return await read(part, client)
        case 2: return await lookForNobody(part, client)
        case 3 where open.contains(client.region): return await readFromOutside(client)
        default: break
        }
        let element = client.recorder.uniqueValue()
        let (table, region) = (table, client.region)
        await client.record(.add(element), part: part) {
            try await client.database.write(deadline: client.deadline) {
                let canary = Self.canary(region)
                let row = SecretRow(part: part, id: element, mark: canary, region: region.rawValue, secret: canary)
                try await $0.insert(row, into: table)
            }
            return .add(element)
        }
    }

    /// The closed law's rows and the others' are two sets.
    private func part(of minute: Int, _ client: WorkloadClient) -> Int {
        2 * minute + (closed.contains(client.region) ? 1 : 0)
    }

    private func read(_ part: Int, _ client: WorkloadClient) async {
        let table = table
        let homes = closed.contains(client.region) ? closed : open
        await client.record(.elements(nil), part: part) {
            let rows = try await client.database.read(deadline: client.deadline) { tx in
                var rows: [SecretRow] = []
                for home in homes { rows += try await tx.scan(table, prefix: part, in: home) }
                return rows
            }
            return .elements(rows.map(\.id).sorted())
        }
    }

    /// A key of the client's own region that is nowhere, looked for without naming a region.
    ///
    /// Only where the rule keeps it at home: else to tell it is what the client has asked for.
    private func lookForNobody(_ part: Int, _ client: WorkloadClient) async {
        guard closed.contains(client.region) else { return }
        _ = try? await client.database.read(deadline: client.deadline) {
            try await $0.get(part, -1, Self.canary(client.region), from: self.table)
        }
    }

    private func readFromOutside(_ client: WorkloadClient) async {
        guard let home = closed.first else { return }
        var database = client.database
        if client.world.randomNumber(below: 2) == 0, let router = try? RegionRouter(client.database) {
            // As a session would whose own region is down.
            database = router.database(through: home)
        }
        let rows = try? await database.read(deadline: client.deadline) {
            try await $0.scan(self.table, in: home)
        }
        if let rows, !rows.isEmpty { given.count += rows.count }
    }

    func finish(_ client: WorkloadClient) async {
        for minute in 0...SetParts.now(client) { await read(part(of: minute, client), client) }
    }

    func anomaly() -> String? {
        given.count == 0 ? nil : "\(given.count) rows were given to clients outside of a law that refuses it"
    }
}

/// Only the world's thread uses it.
private final class GivenRows: @unchecked Sendable { var count = 0 }

struct SecretRow: Codable, Sendable {
    var part: Int
    var id: Int
    var mark: String
    var region: String
    var secret: String
}
