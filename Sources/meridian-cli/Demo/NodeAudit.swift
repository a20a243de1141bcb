import BenchSupport
import Foundation
import GRDB
import Meridian
import MeridianCore
import MeridianReplica

/// What lies in one node's files, read after it has stopped, with queries of its own and not through the engine.
///
/// A row or log entry is at home if the region in its key and the country in its value are both under the node's law.
struct NodeAudit: Sendable {
    let node: NodeDescriptor
    let jurisdiction: Jurisdiction

    /// The cities whose current version lies here.
    private(set) var cities: Set<Int> = []
    private(set) var rowsInside = 0
    private(set) var rowsOutside = 0
    private(set) var entriesInside = 0
    private(set) var entriesOutside = 0
    /// How often each canary occurs in the bytes of the files.
    private(set) var canaryCounts: [Int] = []
    private(set) var byteCount = 0

    private let topology: Topology
    private let directory: String

    init(node: NodeDescriptor, topology: Topology, directory: String) {
        self.node = node
        self.topology = topology
        self.jurisdiction = topology.jurisdiction(of: node.region)
        self.directory = directory + "/" + node.name
    }

    /// The number that stands for `cities` in every key, as this node's own catalog has it.
    func tableID() throws -> TableID {
        let key = Data(try Catalog.key(ofTable: DemoWorld.cities.name).bytes)
        let value = try query("state.sqlite") { database in
            try Data.fetchOne(
                database, sql: "SELECT value FROM versions WHERE key = ? ORDER BY timestamp DESC", arguments: [key])
        }
        guard let value else {
            throw MeridianError(.corruption, "\(directory)/state.sqlite does not know table \(DemoWorld.cities.name)")
        }
        return try TableRecord(encoded: [UInt8](value)).descriptor.id
    }

    /// Counts rows, log entries and canaries.
    mutating func run(_ table: TableID, _ canaries: Canaries) throws {
        let prefix = KeyEncoder.prefix(table: table)
        let regions = topology.regions.map { ($0, KeyEncoder.prefix(table: table, region: $0)) }
        try countRows(prefix, regions)
        try countEntries(prefix, regions)
        canaryCounts = [Int](repeating: 0, count: canaries.canaries.count)
        for name in try FileManager.default.contentsOfDirectory(atPath: directory).sorted() {
            let (counts, bytes) = try canaries.scan.counts(inFile: directory + "/" + name)
            byteCount += bytes
            for (position, count) in counts.enumerated() { canaryCounts[position] += count }
        }
    }

    private mutating func countRows(_ prefix: [UInt8], _ regions: [(Region, [UInt8])]) throws {
        let rows = try query("state.sqlite") { database in
            // Newest versions first.
            let found = try Row.fetchCursor(
                database, sql: "SELECT key, value FROM versions WHERE key >= ? ORDER BY key, timestamp DESC",
                arguments: [Data(prefix)])
            var rows: [(key: [UInt8], value: [UInt8]?)] = []
            while let row = try found.next() {
                let key = [UInt8](row[0] as Data)
                guard key.starts(with: prefix) else { break }
                rows.append((key, (row[1] as Data?).map { [UInt8]($0) }))
            }
            return rows
        }
        for row in rows {
            if try isAtHome(row.key, row.value, regions) { rowsInside += 1 } else { rowsOutside += 1 }
            if let value = row.value, let id = try Self.columns(value).id { cities.insert(id) }
        }
    }

    private mutating func countEntries(_ prefix: [UInt8], _ regions: [(Region, [UInt8])]) throws {
        let runs = try query("log.sqlite") { database in
            try Data.fetchAll(database, sql: "SELECT entries FROM runs")
        }
        for run in runs {
            do {
                for mutation in try LogRunReader.mutations(in: [UInt8](run)) where mutation.key.starts(with: prefix) {
                    let isHome = try isAtHome(mutation.key, mutation.value, regions)
                    if isHome { entriesInside += 1 } else { entriesOutside += 1 }
                }
            } catch is LogRunReader.Malformed {
                throw MeridianError(.corruption, "\(directory)/log.sqlite has entries that cannot be read")
            }
        }
    }

    private func isAtHome(_ key: [UInt8], _ value: [UInt8]?, _ regions: [(Region, [UInt8])]) throws -> Bool {
        guard let region = regions.first(where: { key.starts(with: $0.1) })?.0 else { return false }
        guard topology.jurisdiction(of: region) == jurisdiction else { return false }
        guard let value else { return true }
        guard let country = try Self.columns(value).country else { return false }
        return topology.jurisdiction(of: DemoWorld.home(ofCountry: country)) == jurisdiction
    }

    /// Two columns of a stored city; the columns come in the order of its properties.
    private static func columns(_ value: [UInt8]) throws -> (id: Int?, country: String?) {
        let values = try RowCoding.decode(value, name: DemoWorld.cities.name)
        guard values.count > 3, case .integer(let id) = values[0], case .text(let country) = values[3] else {
            return (nil, nil)
        }
        return (Int(id), country)
    }

    private func query<Result>(_ file: String, _ body: (GRDB.Database) throws -> Result) throws -> Result {
        var configuration = Configuration()
        configuration.readonly = true
        let queue = try DatabaseQueue(path: directory + "/" + file, configuration: configuration)
        defer { try? queue.close() }
        return try queue.read(body)
    }
}
