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
enum SetParts {
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
