import MeridianCore

/// A row of an active-active table as one copy knows it: a state-based CRDT, a lattice whose merge is commutative,
/// associative and idempotent, so that copies that have seen the same writes are equal, in whatever order and however
/// often they heard of them.
///
/// A record is made of cells, one for each field of the table, each a lattice of its own (`Register`, `Counter`,
/// `AddWinsSet`, `SiblingSet`), of the row's *life*, and of the writes that have been *seen*. A write is a diff: what
/// the application changes against what its copy showed it becomes additions to counters, elements that come and go,
/// and new contents of registers. So a row stays a plain struct, and a read-modify-write of a counter loses no
/// increment of another copy.
///
/// What is deleted stays as a record that is not alive, with its cells, until every copy has heard of it: a write that
/// does not know of the deletion must find something to be compared with. Whether a row is there is decided by the
/// latest of its writes and deletions.
package struct Record: Hashable, Sendable {
    package enum Cell: Hashable, Sendable {
        case register(Register)
        case counter(Counter)
        case set(AddWinsSet)
        case siblings(SiblingSet)
    }

    /// Whether the row is there, and since which write.
    package struct Life: Hashable, Sendable {
        package var isAlive: Bool
        package var stamp: WriteStamp
    }

    package var key: [Value]
    package internal(set) var seen: VersionVector
    package internal(set) var life: Life
    /// One for each field of the shape.
    package internal(set) var cells: [Cell]

    /// Precondition: the cells are those of the table's shape.
    init(key: [Value], seen: VersionVector, life: Life, cells: [Cell]) {
        self.key = key
        self.seen = seen
        self.life = life
        self.cells = cells
    }

    package var isAlive: Bool { life.isAlive }

    /// Whether some field holds more than one value.
    package var hasSiblings: Bool {
        cells.contains { cell in
            if case .siblings(let set) = cell { set.siblings.count > 1 } else { false }
        }
    }

    // MARK: Writes

    /// A row's first write, or the next one, by somebody who has seen `earlier`.
    /// - Parameters:
    ///   - row: the values of all columns.
    ///   - now: the copy's clock.
    ///   - name: the table's, for the errors.
    /// - Throws: `.resolverMismatch` when a column only grows and the row holds less, `.typeMismatch` for a set that is
    ///   no JSON array.
    package init(
        writing row: [Value], over earlier: Record?, _ shape: RecordShape, by origin: Origin, at now: Timestamp,
        name: String
    ) throws(MeridianError) {
        self = earlier ?? Record(blank: shape.key.map { row[$0] }, shape)
        let wasAlive = earlier?.isAlive ?? false
        let stamp = nextStamp(of: origin, at: now)
        life = Life(isAlive: true, stamp: stamp)
        for (position, field) in shape.fields.enumerated() {
            let content = shape.content(of: field, in: row)
            try write(content, to: position, field, stamp, wasAlive: wasAlive, name)
        }
    }

    /// Nothing was written yet: to be overwritten.
    private init(blank key: [Value], _ shape: RecordShape) {
        let never = WriteStamp(time: .zero, dot: Dot(Origin(0), 0))
        // -0.0 and 0.0 are one key, and copies that make the row at the same time must agree on its bytes.
        let key = key.map { $0 == .real(0) ? .real(0) : $0 }
        let cells = shape.fields.map { field -> Cell in
            switch field.resolver {
            case .lastWriterWins: .register(Register([], never))
            case .counter, .growOnlyCounter: .counter(Counter())
            case .addWinsSet, .growOnlySet: .set(AddWinsSet())
            case .siblings, .merge: .siblings(SiblingSet())
            }
        }
        self.init(key: key, seen: VersionVector(), life: Life(isAlive: false, stamp: never), cells: cells)
    }

    /// The row is deleted by somebody who has seen this.
    package mutating func delete(by origin: Origin, at now: Timestamp) {
        life = Life(isAlive: false, stamp: nextStamp(of: origin, at: now))
    }

    /// Lets go of what a deleted row had counted, collected and kept side by side: of all that would be added to a row
    /// of the same key that somebody makes who knows nothing of this one. Only for a deletion that every copy has, and
    /// of which nothing older can arrive (`CopyTrimmer`): it is no write, and the record counts as the same one.
    /// - Returns: whether there was anything.
    package mutating func strip() -> Bool {
        precondition(!isAlive, "a row that is there is stripped")
        let before = cells
        for position in cells.indices {
            switch cells[position] {
            case .register: break
            case .counter: cells[position] = .counter(Counter())
            case .set: cells[position] = .set(AddWinsSet())
            case .siblings: cells[position] = .siblings(SiblingSet())
            }
        }
        return cells != before
    }

    /// Above all that has been seen of the row.
    private mutating func nextStamp(of origin: Origin, at now: Timestamp) -> WriteStamp {
        WriteStamp(
            time: max(now, life.stamp.time.next),
            dot: seen.next(of: origin, first: UInt64(max(1, now.rawValue / 1_000))))
    }

    private mutating func write(
        _ content: [Value], to position: Int, _ field: RecordShape.Field, _ stamp: WriteStamp, wasAlive: Bool,
        _ name: String
    ) throws(MeridianError) {
        switch cells[position] {
        case .register(let register):
            // Who changes one column of several leaves the others to whoever changes them meanwhile. A row as a whole
            // is asserted by every write.
            guard !wasAlive || field.isRow || register.content != content else { return }
            cells[position] = .register(Register(content, stamp))
        case .counter(var counter):
            guard case .integer(let wanted) = content[0] else { throw Self.mismatch("counter", "an integer", name) }
            let change = wanted &- counter.value
            // Not the change: it wraps where the two are far apart.
            guard wanted >= counter.value || !wasAlive || field.resolver == .counter else {
                throw MeridianError(
                    .resolverMismatch,
                    "table \(name): a grow-only counter was to go down; write no less than was read, or use .counter "
                        + "for one that may")
            }
            counter.add(change, by: stamp.dot.origin)
            cells[position] = .counter(counter)
        case .set(var set):
            guard case .text(let text) = content[0], let elements = SetText.elements(of: text) else {
                throw Self.mismatch("set", "an array", name)
            }
            if field.resolver == .growOnlySet, wasAlive, !Set(set.elements).isSubset(of: elements) {
                throw MeridianError(
                    .resolverMismatch,
                    "table \(name): elements were to go from a grow-only set; keep those that were read, or use "
                        + ".addWinsSet for one that may shrink")
            }
            set.set(elements, stamp.dot, wasAlive: wasAlive)
            cells[position] = .set(set)
        case .siblings(var set):
            guard !wasAlive || set.siblings.count != 1 || set.siblings[0].content != content else { return }
            set.set(content, stamp, keepsBase: field.resolver == .merge)
            cells[position] = .siblings(set)
        }
    }

    private static func mismatch(_ resolver: String, _ wanted: String, _ name: String) -> MeridianError {
        MeridianError(.typeMismatch, "table \(name): a column that is a \(resolver) does not hold \(wanted)")
    }

    // MARK: Reads

    /// The row as it is shown, whether it is alive or not: of siblings the latest.
    /// - Parameter spare: how many values the caller adds.
    package func row(_ shape: RecordShape, spare: Int = 0) -> [Value] {
        var row: [Value] = []
        row.reserveCapacity(shape.columnCount + spare)
        row.append(contentsOf: repeatElement(.null, count: shape.columnCount))
        for (column, value) in zip(shape.key, key) { row[column] = value }
        for (field, cell) in zip(shape.fields, cells) {
            switch cell {
            case .register(let register): put(register.content, field, &row)
            case .counter(let counter): row[field.columns[0]] = .integer(counter.value)
            case .set(let set): row[field.columns[0]] = .text(SetText.text(of: set.elements))
            case .siblings(let set): put(set.siblings.last?.content ?? [], field, &row)
            }
        }
        return row
    }

    private func put(_ content: [Value], _ field: RecordShape.Field, _ row: inout [Value]) {
        for (column, value) in zip(field.columns, content) { row[column] = value }
    }

    /// The row once for each sibling of a field, the latest last; and what the siblings come from, if that is known.
    package func siblings(
        of position: Int, _ shape: RecordShape
    ) -> (rows: [[Value]], ancestor: [Value]?) {
        guard case .siblings(let set) = cells[position] else { return ([row(shape)], nil) }
        let shown = row(shape)
        func with(_ content: [Value]) -> [Value] {
            var row = shown
            put(content, shape.fields[position], &row)
            return row
        }
        return (set.siblings.map { with($0.content) }, set.ancestor.map(with))
    }
}
