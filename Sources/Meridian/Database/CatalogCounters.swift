import MeridianCore

/// The numbers that the next table and the next range get: a row of the system range.
struct CatalogCounters {
    private var table: UInt32
    private var range: UInt64

    /// - Parameter stored: the row; `nil` before the first table. Table 0 and range 1 are the system's.
    init(_ stored: [UInt8]?) throws(MeridianError) {
        (table, range) = (1, 2)
        guard let stored else { return }
        let values = try RowCoding.decode(stored, name: "system.counters")
        guard values.count == 2, case .integer(let table) = values[0], case .integer(let range) = values[1] else {
            throw MeridianError(.corruption, "system.counters is malformed")
        }
        self.table = UInt32(truncatingIfNeeded: table)
        self.range = UInt64(bitPattern: range)
    }

    mutating func takeTable() -> TableID {
        table += 1
        return TableID(table - 1)
    }

    mutating func takeRange() -> RangeID {
        range += 1
        return RangeID(range - 1)
    }

    func encoded() throws(MeridianError) -> [UInt8] {
        try RowCoding.encode([.integer(Int64(table)), .integer(Int64(bitPattern: range))], name: "system.counters")
    }
}
