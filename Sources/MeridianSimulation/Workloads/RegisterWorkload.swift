import Meridian
import MeridianCheckers
import MeridianCore

struct RegisterRow: Codable, Sendable {
    var id: Int
    var value: Int
}

/// Single registers, read, written and compared-and-set through any region: linearizable one by one (Herlihy and Wing,
/// TOPLAS 1990; Jepsen's `register`).
struct RegisterWorkload: Workload {
    let model = HistoryModel.register
    private let table: Table<RegisterRow>
    private static let keys = 8

    init(_ topology: Topology) {
        table = Table("registers", key: \.id, locality: .regional(in: topology.regions[0]), survival: .best(topology))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        try await world.database(in: world.topology.regions[0]).create(table)
    }

    func operation(_ client: WorkloadClient) async {
        let id = client.world.randomNumber(below: Self.keys)
        let key = HistoryKey.int(id)
        let (database, table) = (client.database, table)
        switch client.world.randomNumber(below: 5) {
        case 0, 1:
            let value = client.recorder.uniqueValue()
            await client.record(.write(key, value)) {
                try await database.write(deadline: client.deadline) {
                    try await $0.upsert(RegisterRow(id: id, value: value), into: table)
                }
                return .write(key, value)
            }
        case 2:
            guard let from = try? await read(id, client) else { return }
            let to = client.recorder.uniqueValue()
            await client.record(.compareAndSet(key, from: from, to: to)) {
                try await database.write(deadline: client.deadline) { transaction in
                    guard let row = try await transaction.get(id, from: table), row.value == from else {
                        throw WorkloadClient.Abandoned()
                    }
                    try await transaction.update(RegisterRow(id: id, value: to), in: table)
                }
                return .compareAndSet(key, from: from, to: to)
            }
        default:
            await client.record(.read(key, nil)) { .read(key, try await read(id, client)) }
        }
    }

    private func read(_ id: Int, _ client: WorkloadClient) async throws -> Int? {
        try await client.database.read(deadline: client.deadline) { try await $0.get(id, from: table)?.value }
    }

    func finish(_ client: WorkloadClient) async {
        for id in 0..<Self.keys {
            await client.record(.read(.int(id), nil)) { .read(.int(id), try await read(id, client)) }
        }
    }
}

extension SurvivalGoal {
    /// Survive the loss of a region where the topology can.
    static func best(_ topology: Topology) -> SurvivalGoal { topology.regions.count >= 3 ? .region : .zone }
}
