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
        /// How far copies are with letting go of a deletion (`Settlement`).
        package var settled = Settlement.open
    }

    /// The steps in which a deletion is forgotten, each of which a copy takes when it has seen that every copy has
    /// taken the one before (`CopyTrimmer`).
    package enum Settlement: UInt8, Hashable, Comparable, Sendable {
        // The numbers are in stored rows: never change or reuse one.
        case open = 0
        /// All copies have the deletion, so nobody writes any more who does not know of it. What the row had counted
        /// and collected is gone.
        case stripped = 1
        /// All copies have stripped it, and no outbox holds anything of the row: it may be removed wherever all others
        /// say so, too, or have removed it.
        case removable = 2

        package static func < (lhs: Settlement, rhs: Settlement) -> Bool { lhs.rawValue < rhs.rawValue }
    }

    package var key: [Value]
    /// When the row was last erased, as far as this record knows; zero if never. A record of before an erasure is
    /// below every one of after it: an erasure wins over all writes that do not know of it, however late they come.
    package internal(set) var erasure = Timestamp.zero
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
    ///   - numbered: above which number the write is counted: of earlier ones the copy may have forgotten some.
    ///   - erasure: when the row was last erased; `earlier` counts only if it is of after that.
    ///   - name: the table's, for the errors.
    /// - Throws: `.resolverMismatch` when a column only grows and the row holds less, or a counter holds more than an
    ///   integer can; `.typeMismatch` for a set that is no JSON array.
    package init(
        writing row: [Value], over earlier: Record?, _ shape: RecordShape, by origin: Origin, at now: Timestamp,
        numberedAbove numbered: UInt64 = 0, erasedAt erasure: Timestamp = .zero, name: String
    ) throws(MeridianError) {
        let earlier = earlier.flatMap { $0.erasure < erasure ? nil : $0 }
        self = earlier ?? Record(blank: shape.key.map { row[$0] }, shape)
        self.erasure = max(self.erasure, erasure)
        let wasAlive = earlier?.isAlive ?? false
        let stamp = nextStamp(of: origin, at: now, above: numbered)
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
    package mutating func delete(by origin: Origin, at now: Timestamp, numberedAbove numbered: UInt64 = 0) {
        life = Life(isAlive: false, stamp: nextStamp(of: origin, at: now, above: numbered))
    }

    /// Lets go of what a deleted row had counted, collected and kept side by side: of all that would be added to a row
    /// of the same key that somebody makes who knows nothing of this one. Only for a deletion that every copy has.
    ///
    /// It is no write, and the record has seen what it had seen; yet it is above what it was (`Dots`), so a copy that
    /// has not stripped it cannot bring anything of it back.
    /// - Returns: whether there was anything to do.
    package mutating func settle(_ settlement: Settlement) -> Bool {
        precondition(!isAlive, "a row that is there is settled as a deletion")
        guard life.settled < settlement else { return false }
        life.settled = settlement
        for position in cells.indices {
            switch cells[position] {
            case .register: break
            case .counter: cells[position] = .counter(Counter())
            case .set: cells[position] = .set(AddWinsSet())
            case .siblings: cells[position] = .siblings(SiblingSet())
            }
        }
        return true
    }

    /// Above all that has been seen of the row.
    private mutating func nextStamp(of origin: Origin, at now: Timestamp, above numbered: UInt64) -> WriteStamp {
        WriteStamp(
            time: max(now, life.stamp.time.next),
            dot: seen.next(of: origin, first: max(UInt64(max(1, now.rawValue / 1_000)), numbered + 1)))
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
            guard wanted >= counter.value || !wasAlive || field.resolver == .counter else {
                throw MeridianError(
                    .resolverMismatch,
                    "table \(name): a grow-only counter was to go down; write no less than was read, or use .counter "
                        + "for one that may")
            }
            if !wasAlive {
                counter.restart(at: Int128(wanted), by: stamp.dot)
            } else if wanted != counter.value {
                // What is written must be what is read afterwards.
                guard !counter.isSaturated else {
                    throw MeridianError(
                        .resolverMismatch,
                        "table \(name): regions have together brought a counter beyond what an integer holds, so it "
                            + "shows the nearest that does, and cannot be changed; delete the row, and insert it anew")
                }
                counter.add(Int128(wanted) - counter.sum, by: stamp.dot)
            }
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
