import MeridianCore

/// All ranges that a node knows of, in key order: the answer to "who holds this key?".
///
/// Promises: no two ranges overlap, no id occurs twice; lookups by key take a binary search. Gaps are allowed, since
/// a node need not know every range. Errors name ranges and tables, never keys.
///
/// It does not say who leads a range; that is learnt by asking and kept by the router.
package struct RangeDirectory: Sendable {
    /// Sorted by `span.lower`; spans are disjoint.
    package private(set) var ranges: [RangeDescriptor] = []
    /// Where each id stands in `ranges`.
    private var positions: [RangeID: Int] = [:]
    /// Where each table's ranges stand in `ranges`, ascending.
    private var positionsByTable: [TableID: [Int]] = [:]

    package init() {}

    /// - Throws: `MeridianError` with `.invalidConfiguration` when ranges overlap or an id occurs twice.
    package init(_ ranges: some Sequence<RangeDescriptor>) throws(MeridianError) {
        self.ranges = ranges.sorted { $0.span.lower < $1.span.lower }
        for (first, second) in zip(self.ranges, self.ranges.dropFirst()) where first.span.overlaps(second.span) {
            throw Self.overlap(second, first)
        }
        index()
        guard positions.count == self.ranges.count else {
            throw MeridianError(
                .invalidConfiguration, "\(self.ranges.count) ranges have only \(positions.count) different ids")
        }
    }

    package var count: Int { ranges.count }
    package var isEmpty: Bool { ranges.isEmpty }

    package subscript(id: RangeID) -> RangeDescriptor? { positions[id].map { ranges[$0] } }

    /// The range that holds a key, if it is known.
    package func range(containing key: Key) -> RangeDescriptor? {
        let position = firstPosition { key < $0.span.lower } - 1
        guard position >= 0, ranges[position].span.contains(key) else { return nil }
        return ranges[position]
    }

    /// The ranges that share a key with a span, in key order.
    package func ranges(overlapping span: KeySpan) -> ArraySlice<RangeDescriptor> {
        guard span.upper != span.lower else { return [] }
        let start = firstPosition { $0.span.upper.map { span.lower < $0 } ?? true }
        let end = firstPosition { range in span.upper.map { range.span.lower >= $0 } ?? false }
        return start < end ? ranges[start..<end] : []
    }

    /// A table's ranges, in key order.
    package func ranges(of table: TableID) -> [RangeDescriptor] {
        (positionsByTable[table] ?? []).map { ranges[$0] }
    }

    /// A table's ranges that are homed in a region, in key order.
    package func ranges(of table: TableID, in home: Region) -> [RangeDescriptor] {
        (positionsByTable[table] ?? []).map { ranges[$0] }.filter { $0.home == home }
    }

    /// - Throws: `MeridianError` with `.invalidConfiguration` when the range overlaps another or its id is taken.
    package mutating func insert(_ range: RangeDescriptor) throws(MeridianError) {
        guard positions[range.id] == nil else {
            throw MeridianError(
                .invalidConfiguration, "\(range.id) is in the directory; replace it instead of inserting it")
        }
        if let other = ranges(overlapping: range.span).first { throw Self.overlap(range, other) }
        let position = firstPosition { range.span.lower < $0.span.lower }
        ranges.insert(range, at: position)
        if position == ranges.count - 1 { note(position) } else { index() }
    }

    /// Puts a range's new description in the place of its old one.
    ///
    /// - Throws: `MeridianError` with `.invalidConfiguration` when the range is unknown, or overlaps another now. The
    ///   directory is then as it was.
    package mutating func replace(_ range: RangeDescriptor) throws(MeridianError) {
        guard let position = positions[range.id] else {
            throw MeridianError(.invalidConfiguration, "\(range.id) is not in the directory; insert it first")
        }
        if let other = ranges(overlapping: range.span).first(where: { $0.id != range.id }) {
            throw Self.overlap(range, other)
        }
        // A span may have jumped over its neighbours; it is put where it now belongs.
        ranges.remove(at: position)
        ranges.insert(range, at: firstPosition { range.span.lower < $0.span.lower })
        index()
    }

    /// Forgets a range. Returns what was known of it.
    @discardableResult
    package mutating func remove(_ id: RangeID) -> RangeDescriptor? {
        guard let position = positions[id] else { return nil }
        let range = ranges.remove(at: position)
        index()
        return range
    }

    /// The first position whose range satisfies a condition that, once true in key order, stays true.
    private func firstPosition(where condition: (RangeDescriptor) -> Bool) -> Int {
        var lower = 0
        var upper = ranges.count
        while lower < upper {
            let middle = lower + (upper - lower) / 2
            if condition(ranges[middle]) { upper = middle } else { lower = middle + 1 }
        }
        return lower
    }

    private mutating func index() {
        positions.removeAll(keepingCapacity: true)
        positionsByTable.removeAll(keepingCapacity: true)
        for position in ranges.indices { note(position) }
    }

    private mutating func note(_ position: Int) {
        positions[ranges[position].id] = position
        positionsByTable[ranges[position].table, default: []].append(position)
    }

    private static func overlap(_ range: RangeDescriptor, _ other: RangeDescriptor) -> MeridianError {
        MeridianError(
            .invalidConfiguration,
            "\(range.id) of \(range.table) and \(other.id) of \(other.table) hold the same keys; remove or shrink one")
    }
}
