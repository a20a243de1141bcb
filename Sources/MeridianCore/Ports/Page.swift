/// A part of the rows that were asked for, and where the rest begins.
///
/// Whoever answers says whether there is more. Nobody else can tell: a page ends at a number of rows, at a number of
/// bytes, or before a row that does not fit, and by limits that its reader does not know. So no reader concludes
/// anything from how long a page is; one without rows can have a successor.
package struct Page: Hashable, Sendable {
    package var rows: [KeyedVersion]
    /// Where to go on; `nil`: nothing is left.
    package var resume: Resume?

    package enum Resume: Hashable, Sendable {
        /// With this key, which need not have a row. Between the page's last row and it there is none.
        case key(Key)
        /// Behind this timestamp, in an order of timestamps.
        case after(Timestamp)
    }

    package init(rows: [KeyedVersion] = [], resume: Resume? = nil) {
        self.rows = rows
        self.resume = resume
    }
}

/// How long a page may be.
package struct PageLimits: Hashable, Sendable {
    package var rows: Int
    /// Of values. One row is returned whatever its length.
    package var bytes: Int

    package init(rows: Int, bytes: Int) {
        self.rows = rows
        self.bytes = bytes
    }

    /// What a node reads at once, whatever was asked for.
    package static let node = PageLimits(rows: 20_000, bytes: 4 << 20)

    package func limited(to other: PageLimits) -> PageLimits {
        PageLimits(rows: min(rows, other.rows), bytes: min(bytes, other.bytes))
    }
}

/// Fills a page with rows in key order.
package struct PageBuilder {
    package private(set) var page = Page()
    private let span: KeySpan
    private let limits: PageLimits
    private var byteCount = 0

    /// - Parameter span: what is asked for. A page that ends with its last key is the last one.
    package init(_ span: KeySpan, limit: Int, byteLimit: Int) {
        precondition(limit > 0, "a page of \(limit) rows")
        self.span = span
        limits = PageLimits(rows: limit, bytes: byteLimit)
    }

    /// Takes in the next row.
    /// - Returns: whether the page goes on.
    package mutating func take(_ key: Key, _ version: Version) -> Bool {
        let count = version.value?.count ?? 0
        if !page.rows.isEmpty, byteCount + count > limits.bytes { return end(before: key) }
        page.rows.append(KeyedVersion(key: key, version: version))
        byteCount += count
        return page.rows.count < limits.rows && byteCount < limits.bytes || end(before: key.successor)
    }

    private mutating func end(before key: Key) -> Bool {
        if span.upper.map({ key < $0 }) ?? true { page.resume = .key(key) }
        return false
    }
}

extension KeySpan {
    /// What is left of it. Precondition: the key is not above it.
    package func from(_ key: Key) -> KeySpan { KeySpan(lower: key, upper: upper) }

    /// Its part below a key, all of it without one.
    package func upTo(_ key: Key?) -> KeySpan { KeySpan(lower: lower, upper: key ?? upper) }
}

extension StateReader {
    /// Visits the rows of a span as of a timestamp, a page in memory at a time, until the visitor returns false.
    package func visitRows(
        of span: KeySpan, at timestamp: Timestamp, pages limits: PageLimits = .node,
        _ visit: (KeyedVersion) throws -> Bool
    ) throws {
        var rest: KeySpan? = span
        while let span = rest {
            let page = try scan(span, at: timestamp, limit: limits.rows, byteLimit: limits.bytes)
            for row in page.rows where try !visit(row) { return }
            guard case .key(let next)? = page.resume else { return }
            rest = span.from(next)
        }
    }

    /// All rows of a span as of a timestamp.
    package func rows(of span: KeySpan, at timestamp: Timestamp) throws -> [KeyedVersion] {
        var rows: [KeyedVersion] = []
        try visitRows(of: span, at: timestamp) {
            rows.append($0)
            return true
        }
        return rows
    }
}
