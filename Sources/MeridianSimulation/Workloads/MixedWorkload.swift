import Meridian
import MeridianCheckers
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Elements that one closure adds to tables of different modes and goals, while one of them fails over by itself, or
/// the home of one is given up.
///
/// The table that survives a region is judged as `set` is: what was acknowledged is found for ever after, and what is
/// said not to have happened never is. Of every closure, whatever it wrote: what survives is all of it, but for what a
/// failover has cut off, which a node reports, and what was given up; and what was acknowledged and is not there was
/// reported as undone (`Database.undoneCommits`).
struct MixedWorkload: Workload {
    let model = HistoryModel.set
    let rule = "mixed modes"
    /// A new history stands on one disk for a moment; no mode promises anything of a table whose copies are gone.
    let excluded = Set(FaultKind.allCases.filter(\.isDestructive))
    /// Survives a region; fails over by itself and may lose the last moments; stands in one region alone.
    private let tables: [Table<ElementRow>]
    private static let strong = 0, fast = 1, local = 2
    private let regions: [Region]
    private let account = Account()

    private struct Place: Hashable {
        var table: Int
        var region: Region
    }

    private struct Write {
        var places: Set<Place>
        var isAcknowledged = false
        var isRefused = false
    }

    private final class Account: @unchecked Sendable {
        var writes: [Int: Write] = [:]
        var requests: [String: Int] = [:]
        var found: [Place: Set<Int>]?
        var undone: Set<Int> = []
        /// Whose rows were given up, or are about to be.
        var givenUp: Place?
        weak var world: SimulatedWorld?
    }

    init(_ topology: Topology) {
        regions = topology.regions
        let key = ["part", "id"]
        tables = [
            Table("strong", keyColumns: key, locality: .regionalByRow(\.region), survival: .best(topology)),
            Table(
                "fast", keyColumns: key, locality: .regionalByRow(\.region), mode: .asynchronous,
                failover: .automatic),
            Table("local", keyColumns: key, locality: .regionalByRow(\.region)),
        ]
    }

    func setUp(_ world: SimulatedWorld) async throws {
        account.world = world
        world.startKeepers()
        for table in tables { try await world.database(in: regions[0]).create(table, deadline: .seconds(60)) }
    }

    func operation(_ client: WorkloadClient) async {
        switch client.world.randomNumber(below: 12) {
        case 0, 1: await read(client)
        case 2 where account.givenUp == nil && regions.count >= 3 && client.world.randomNumber(below: 8) == 0:
            let region = regions[client.world.randomNumber(below: regions.count)]
            account.givenUp = Place(table: Self.local, region: region)
            _ = try? await client.database.giveUp(tables[Self.local], in: region)
        default: await write(client)
        }
    }

    private func write(_ client: WorkloadClient) async {
        let world = client.world
        var places: [Place] = []
        for _ in 0...(1 + world.randomNumber(below: 2)) {
            let place = Place(
                table: world.randomNumber(below: tables.count),
                region: regions[world.randomNumber(below: regions.count)])
            if !places.contains(place) { places.append(place) }
        }
        let element = client.recorder.uniqueValue()
        let request = RequestID(high: 0x6D69_7865_6400_0000, low: UInt64(element))
        account.writes[element] = Write(places: Set(places))
        account.requests["\(request)"] = element
        let (tables, order, account) = (tables, places, account)
        let isDecided = world.randomNumber(below: 4) == 0
        @Sendable func commit() async throws {
            do {
                _ = try await client.database.transact(
                    request, mayBeRepeated: false, acknowledging: isDecided ? .decided : .prepared,
                    deadline: client.deadline
                ) { tx in
                    for place in order {
                        let row = ElementRow(part: 0, id: element, region: place.region.rawValue)
                        try await tx.insert(row, into: tables[place.table])
                    }
                }
                account.writes[element]?.isAcknowledged = true
            } catch let error as MeridianError {
                account.writes[element]?.isRefused = error.commitOutcome == .notCommitted
                throw error
            }
        }
        guard places.contains(where: { $0.table == Self.strong }) else { return (try? await commit()) ?? () }
        await client.record(.add(element)) {
            try await commit()
            return .add(element)
        }
    }

    private func read(_ client: WorkloadClient) async {
        let strong = tables[Self.strong]
        await client.record(.elements(nil)) {
            let rows = try await client.database.read(deadline: client.deadline) {
                try await $0.scan(strong, prefix: 0)
            }
            return .elements(Set(rows.map(\.id)).sorted())
        }
    }

    func finish(_ client: WorkloadClient) async {
        await read(client)
        guard account.found == nil else { return }
        account.found = [:]
        do {
            var found: [Place: Set<Int>] = [:]
            for place in allPlaces where place != account.givenUp {
                let table = tables[place.table]
                let rows = try await client.database.read(deadline: .seconds(20)) {
                    try await $0.scan(table, prefix: 0, in: place.region)
                }
                found[place] = Set(rows.map(\.id))
            }
            let undone = try await client.database.undoneCommits(deadline: .seconds(20))
            account.undone = Set(undone.filter(\.mayHaveBeenAcknowledged).compactMap { account.requests[$0.request] })
            account.found = found
        } catch {
            account.found = nil
        }
    }

    private var allPlaces: [Place] {
        tables.indices.flatMap { table in regions.map { Place(table: table, region: $0) } }
    }

    func anomaly() -> String? {
        guard let found = account.found, let world = account.world else { return "not all could be read at the end" }
        let salvaged = salvaged(in: world)
        for (element, write) in account.writes.sorted(by: { $0.key < $1.key }) {
            let readable = write.places.filter { $0 != account.givenUp }
            let present = readable.filter { found[$0]?.contains(element) == true }
            // What is neither there nor in a report of what a failover has cut off.
            let absent = readable.subtracting(present).filter { salvaged[$0]?.contains(element) != true }
            if write.isRefused, !present.isEmpty { return "\(element) is there, and was said not to be: \(write)" }
            if !present.isEmpty, !absent.isEmpty { return "\(element) is in \(present) and not in \(absent)" }
            if write.isAcknowledged, present.isEmpty, !absent.isEmpty, !account.undone.contains(element) {
                return "\(element) was acknowledged, is not there, and nobody has reported it: \(write)"
            }
        }
        return nil
    }

    /// What nodes have kept of what failovers have cut off.
    private func salvaged(in world: SimulatedWorld) -> [Place: Set<Int>] {
        var kept: [Place: Set<Int>] = [:]
        for salvage in world.engine.nodes.flatMap(\.salvaged) {
            let place = Place(table: Self.fast, region: salvage.partition)
            let keys = salvage.entries.flatMap { entry -> [Key] in
                guard case .command(let command) = entry.payload else { return [] }
                return command.mutations.map(\.key)
            }
            for key in keys + salvage.rows.map(\.key) {
                guard var decoder = try? KeyDecoder(key), let values = try? decoder.values(),
                    case .integer(let id)? = values.last
                else { continue }
                kept[place, default: []].insert(Int(id))
            }
        }
        return kept
    }
}
