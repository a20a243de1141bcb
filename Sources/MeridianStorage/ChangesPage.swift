import MeridianCore

/// A page of changed rows, which ends between two timestamps: the reader goes on from the last one, so what is left out
/// of a timestamp's rows would never be read.
struct ChangesPage {
    private let limit: Int
    private let byteLimit: Int
    private var byteCount = 0
    private(set) var rows: [KeyedVersion] = []

    init(limit: Int, byteLimit: Int) {
        precondition(limit > 0, "a page of \(limit) changed rows")
        self.limit = limit
        self.byteLimit = byteLimit
    }

    /// Whether a row of this timestamp, not below those taken, still comes in.
    func hasRoom(at timestamp: Timestamp) -> Bool {
        guard let last = rows.last, rows.count >= limit || byteCount >= byteLimit else { return true }
        return last.version.timestamp == timestamp
    }

    /// Takes in the next row by timestamp and key, unless it is a deletion.
    /// - Returns: `false` if the page ended before it.
    mutating func take(_ row: KeyedVersion) -> Bool {
        guard hasRoom(at: row.version.timestamp) else { return false }
        guard let value = row.version.value else { return true }
        rows.append(row)
        byteCount += value.count
        return true
    }
}

extension KeyedVersion {
    func isChangedBefore(_ other: KeyedVersion) -> Bool {
        (version.timestamp, key) < (other.version.timestamp, other.key)
    }
}

extension [KeyedVersion] {
    var inOrderOfChange: [KeyedVersion] { sorted { $0.isChangedBefore($1) } }
}
