import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// What a node knows of the cluster's tables and ranges: the system range's rows, decoded.
package struct Catalog: Sendable {
    package private(set) var tables: [String: TableRecord] = [:]
    package private(set) var directory = RangeDirectory()
    /// The tables that every region reads from its own replica.
    private var globalTables: Set<TableID> = []
    /// The tables that need an authority.
    private var automaticTables: Set<TableID> = []
    /// What must not be collected, by the records' keys.
    package private(set) var protections: [Key: Protection] = [:]
    /// The tables of which each region has a copy that commits by itself.
    private var activeTables: Set<TableID> = []
    /// Copies that are out of use: what they have prepared counts for nothing.
    private var retiredCopies: Set<RangeID> = []
    /// Up to when each region's leaseholders may serve (`Authority`).
    package private(set) var authorities: [Region: Timestamp] = [:]

    /// The range that holds the catalog itself.
    package static let systemRange = RangeID(1)
    package static let systemSpan = KeySpan(prefix: KeyEncoder.prefix(table: .system))

    /// The system range as every node derives it from the topology.
    package init(system: RangeDescriptor) throws(MeridianError) { try directory.insert(system) }

    func isGlobal(_ range: RangeDescriptor) -> Bool { globalTables.contains(range.table) }

    /// In which history each of these ranges is, `nil` for what was given up; nothing if one is not known yet.
    func presence(of participants: [Participant]) -> [Presence?]? {
        var present: [Presence?] = []
        for participant in participants {
            guard let range = directory[participant.range] else { return nil }
            let isGivenUp = range.isGivenUp || retiredCopies.contains(range.id)
            let hasLost = range.hasLost(since: participant.generation)
            present.append(isGivenUp ? nil : Presence(range.generation, hasLost: hasLost))
        }
        return present
    }

    /// What of a range outlives its home region; `nil` for one that is not known yet.
    func durability(of range: RangeID) -> RangeDurability? {
        directory[range].map { activeTables.contains($0.table) ? .copy : $0.durability }
    }

    package subscript(table: TableID) -> TableRecord? { tables.values.first { $0.descriptor.id == table } }

    /// Where a table's record lies.
    package static func key(ofTable name: String) throws(MeridianError) -> Key {
        try key("table", name)
    }

    /// Where the numbers for the next table and range lie.
    package static func countersKey() throws(MeridianError) -> Key { try key("counters", "") }

    static func key(_ kind: String, _ name: String) throws(MeridianError) -> Key {
        try KeyEncoder.key(
            table: .system, region: "", values: [.text(kind), .text(name)], types: [.text, .text], name: "system")
    }

    private static let tablePrefix: [UInt8] = {
        // A constant of this program: it cannot be too long.
        guard let key = try? key("table", "") else { preconditionFailure("the system keys are malformed") }
        // Without the end of the empty name.
        return Array(key.bytes.dropLast(2))
    }()

    /// All tables' records.
    package static let tableSpan = KeySpan(prefix: tablePrefix)

    /// What a node reads when it starts, or when a snapshot has brought the system range: all tables' records, and all
    /// that is protected.
    package static let storedSpan = KeySpan(lower: Protection.span.lower, upper: tableSpan.upper)

    /// All rows of `storedSpan` follow.
    mutating func beginAnew() { protections = [:] }

    /// What a row of the system range has told.
    struct News {
        var newRanges: [RangeDescriptor] = []
        var changedRanges: [RangeDescriptor] = []
        /// Up to when ranges may be served can be another time than before (`authority(over:)`).
        var changesAuthority = false
        /// Other versions than before must be kept (`protectedTimestamp(of:)`).
        var changesProtection = false
    }

    /// Takes in a row of the system range. A record that is not newer than what is known is passed over.
    mutating func learn(_ mutation: Mutation) throws(MeridianError) -> News {
        var news = News()
        if let grant = try Authority.grant(in: mutation) {
            let known = authorities[grant.region] ?? .zero
            authorities[grant.region] = max(known, grant.until)
            news.changesAuthority = grant.until > known
            return news
        }
        if Protection.span.contains(mutation.key) {
            let protection = try mutation.value.map { value throws(MeridianError) in try Protection(encoded: value) }
            news.changesProtection = protections[mutation.key] != protection
            protections[mutation.key] = protection
            return news
        }
        guard Self.tableSpan.contains(mutation.key), let value = mutation.value else { return news }
        let record = try TableRecord(encoded: value)
        if let known = tables[record.descriptor.name], known.version >= record.version { return news }
        for range in record.ranges {
            let known = directory[range.id]
            guard known != range else { continue }
            if known == nil {
                try directory.insert(range)
                news.newRanges.append(range)
            } else {
                try directory.replace(range)
                news.changedRanges.append(range)
            }
        }
        news.changesAuthority = automaticTables.contains(record.descriptor.id) != record.descriptor.isAutomatic
        tables[record.descriptor.name] = record
        for copy in record.copies where copy.state == .retired { retiredCopies.insert(copy.range) }
        if record.descriptor.locality == .global { globalTables.insert(record.descriptor.id) }
        if record.descriptor.locality == .activeActive { activeTables.insert(record.descriptor.id) }
        if record.descriptor.isAutomatic {
            automaticTables.insert(record.descriptor.id)
        } else {
            automaticTables.remove(record.descriptor.id)
        }
        return news
    }

    /// The earliest timestamp as of which somebody needs a range's rows.
    func protectedTimestamp(of range: RangeDescriptor) -> Timestamp {
        protections.values.lazy.filter { $0.covers(range.table) }.map(\.timestamp).min() ?? .distantFuture
    }

    /// Up to when a range may be served by its leaseholder: for ever, unless its table fails over by itself. Then its
    /// home region's authority counts, wherever the leaseholder is while members change.
    func authority(over range: RangeDescriptor) -> Timestamp {
        automaticTables.contains(range.table) ? authorities[range.home] ?? .zero : .distantFuture
    }
}

extension TableDescriptor {
    fileprivate var isAutomatic: Bool { failover == .automatic }
}
