import MeridianCore

/// A row as its range stores it: its values, and while it moves between regions where it came from.
///
/// A row that changes its home region lies in two ranges for a moment. The copy in the new region says that it is
/// arriving; the old one is the row until it says that it has departed. See `RowMove`.
struct StoredRow {
    var values: [Value]
    /// The region that the row is arriving from, and the timestamp of the version there that it copies.
    var arrival: Arrival?
    /// The region that the row has left for: what is stored here is only the sign of it.
    var departure: Region?
    var hasDeparted: Bool { departure != nil }

    struct Arrival: Hashable {
        var origin: Region
        var version: Timestamp
    }

    init(values: [Value], arrival: Arrival? = nil, departure: Region? = nil) {
        precondition(arrival == nil || departure == nil, "a row cannot arrive and have departed")
        self.values = values
        self.arrival = arrival
        self.departure = departure
    }

    /// - Parameter columnCount: how many values the table's rows have; what follows concerns the arrival.
    init(_ bytes: [UInt8], table: ResolvedTable) throws(MeridianError) {
        values = try RowCoding.decode(bytes, name: table.name)
        let count = table.schema.columns.count
        guard values.count > count else { return }
        if values.count == count + 1, case .text(let destination) = values[count] {
            values.removeLast()
            departure = Region(destination)
            return
        }
        guard values.count == count + 2, case .text(let origin) = values[count],
            case .integer(let version) = values[count + 1]
        else { throw MeridianError(.corruption, "a row of table \(table.name) has \(values.count) values") }
        values.removeLast(2)
        arrival = Arrival(origin: Region(origin), version: Timestamp(rawValue: version))
    }

    func encoded(table: ResolvedTable) throws(MeridianError) -> [UInt8] {
        if let departure {
            return try RowCoding.encode(values + [.text(departure.rawValue)], name: table.name)
        }
        guard let arrival else { return try RowCoding.encode(values, name: table.name) }
        return try RowCoding.encode(
            values + [.text(arrival.origin.rawValue), .integer(arrival.version.rawValue)], name: table.name)
    }
}
