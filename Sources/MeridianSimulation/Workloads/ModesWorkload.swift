import Meridian
import MeridianCheckers
import MeridianCore
import MeridianPlacement

/// Lists that are appended to, in tables that change their mode and their home all the while: still strictly
/// serializable, since no change loses a commit or serves rows that are not the latest.
///
/// Changes are asked for by clients, at random and several at once, under faults like everything else. One that is not
/// done in time goes on, and the regions' keepers end it.
struct ModesWorkload: Workload {
    let model = HistoryModel.append
    private let lists: ListAppendWorkload
    private let regions: [Region]

    init(_ topology: Topology) {
        lists = ListAppendWorkload(topology, isWide: true, survival: .zone)
        regions = topology.regions
    }

    func setUp(_ world: SimulatedWorld) async throws {
        try await lists.setUp(world)
        world.startKeepers()
    }

    func operation(_ client: WorkloadClient) async {
        guard client.world.randomNumber(below: 30) == 0 else { return await lists.operation(client) }
        // Refusals and deadlines are part of the game: what counts is what the rows show.
        try? await change(client)
    }

    private func change(_ client: WorkloadClient) async throws {
        let (db, table, world) = (client.database, lists.table, client.world)
        let canSpan = regions.count >= 3
        switch world.randomNumber(below: 6) {
        case 0: try await db.alter(table, mode: .synchronous, survival: .zone, deadline: client.deadline)
        case 1:
            try await db.alter(
                table, mode: .synchronous, survival: canSpan ? .region : .zone, deadline: client.deadline)
        case 2:
            try await db.alter(
                table, mode: .semiSynchronous(remoteRegions: 1), survival: .zone, deadline: client.deadline)
        case 3: try await db.alter(table, mode: .asynchronous, survival: .zone, deadline: client.deadline)
        default:
            let partition = regions[world.randomNumber(below: regions.count)]
            let home = regions[world.randomNumber(below: regions.count)]
            try await db.moveHome(of: table, partition: partition, to: home, deadline: client.deadline)
        }
    }
}
