import MeridianCore

/// Fills a page with changed rows in the order of their timestamps. It ends between two timestamps: the reader goes on
/// after the last one, so what is left out of a timestamp's rows would never be read.
struct ChangesPageBuilder {
    private(set) var page = Page()
    private let limit: Int
    private let byteLimit: Int
    private var byteCount = 0

    init(limit: Int, byteLimit: Int) {
        precondition(limit > 0, "a page of \(limit) changed rows")
        self.limit = limit
        self.byteLimit = byteLimit
    }

    /// Whether a row of this timestamp, not below those taken, still comes in. The page ends before one that does not.
    mutating func hasRoom(at timestamp: Timestamp) -> Bool {
        guard let last = page.rows.last?.version.timestamp, page.rows.count >= limit || byteCount >= byteLimit,
            last != timestamp
        else { return true }
        page.resume = .after(last)
        return false
    }

    /// Takes in the next row by timestamp and key, unless it is a deletion.
    /// - Returns: `false` if the page ended before it.
    mutating func take(_ row: KeyedVersion) -> Bool {
        guard let value = row.version.value else { return true }
        guard hasRoom(at: row.version.timestamp) else { return false }
        page.rows.append(row)
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
