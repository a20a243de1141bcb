import MeridianCore
import Testing

@testable import MeridianConvergence

/// What every kind of field holds in the end, against models that work on sets of writes.
struct CellModelTests {
    private static let seeds: Range<UInt64> = 1000..<1100

    @Test(arguments: TestTable.all) func aRowIsThereIfItsLatestWriteIsNoDeletion(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            for shipment in history.shipments + history.settled {
                let latest = try #require(history.latest(shipment.writes))
                #expect(shipment.record.isAlive == (history.writes[latest].row != nil), history.comment)
                #expect(shipment.record.life.stamp == history.writes[latest].stamp, history.comment)
            }
        }
    }

    @Test(arguments: TestTable.with(.counter, .growOnlyCounter))
    func aCounterIsTheSumOfAllChanges(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed, History.Options(mayDelete: false))
            for shipment in history.shipments + history.settled {
                let row = shipment.record.row(history.shape)
                for field in table.fields(.counter, .growOnlyCounter) {
                    let column = history.shape.fields[field].columns[0]
                    let changes = shipment.writes.map { index -> Int64 in
                        let write = history.writes[index]
                        return write.row![column].number - (write.shown?[column].number ?? 0)
                    }
                    #expect(row[column] == .integer(changes.reduce(0, +)), history.comment)
                }
            }
        }
    }

    @Test(arguments: TestTable.with(.addWinsSet, .growOnlySet))
    func aSetHoldsTheAdditionsThatNobodyHasRemovedKnowingly(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            for field in table.fields(.addWinsSet, .growOnlySet) {
                let column = history.shape.fields[field].columns[0]
                let model = SetModel(history, column)
                for shipment in history.shipments + history.settled {
                    guard case .text(let text) = shipment.record.row(history.shape)[column] else {
                        Issue.record("no text")
                        continue
                    }
                    #expect(Set(text.setElements) == model.elements(shipment.writes), history.comment)
                }
            }
        }
    }

    @Test(arguments: TestTable.with(.siblings, .merge)) func siblingsAreTheMaximalWrites(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            for field in table.fields(.siblings, .merge) {
                let writes = siblingWrites(history, field)
                for shipment in history.shipments + history.settled {
                    let expected = history.maximal(writes.intersection(shipment.writes))
                        .map { history.writes[$0] }.sorted { $0.stamp < $1.stamp }
                    guard case .siblings(let set) = shipment.record.cells[field] else {
                        Issue.record("no siblings")
                        continue
                    }
                    #expect(set.siblings.map(\.stamp) == expected.map(\.stamp), history.comment)
                    #expect(
                        set.siblings.map(\.content) == expected.map { history.content(field, $0.row!) },
                        history.comment)
                }
            }
        }
    }

    /// The writes that gave the field a new value: all but those that leave the one value that is there.
    private func siblingWrites(_ history: History, _ field: Int) -> Set<Int> {
        var found: Set<Int> = []
        for (index, write) in history.writes.enumerated() {
            guard let row = write.row else { continue }
            let shown = history.maximal(found.intersection(write.sees))
            let isSame =
                write.shown != nil && shown.count == 1
                && history.content(field, history.writes[shown.first!].row!) == history.content(field, row)
            if !isSame { found.insert(index) }
        }
        return found
    }

    @Test(arguments: TestTable.with(.lastWriterWins)) func aRegisterIsTheLatestMaximalWrite(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            for field in table.fields(.lastWriterWins) {
                let writes = history.registerWrites(field)
                for shipment in history.shipments + history.settled {
                    let known = writes.intersection(shipment.writes)
                    let latest = try #require(history.latest(known))
                    #expect(history.maximal(known).contains(latest), history.comment)
                    let row = shipment.record.row(history.shape)
                    let expected = history.content(field, history.writes[latest].row!)
                    #expect(history.content(field, row) == expected, history.comment)
                }
            }
        }
    }
}

/// Add-wins sets by definition: every write says what the set is; it adds what was not there before, or all of it if
/// the row was not; what it leaves out it takes from the additions that it has seen.
private struct SetModel {
    private var wanted: [Int: Set<String>] = [:]
    private var added: [Int: Set<String>] = [:]
    private let history: History

    init(_ history: History, _ column: Int) {
        self.history = history
        for (index, write) in history.writes.enumerated() {
            guard case .text(let text)? = write.row?[column] else { continue }
            let now = Set(text.setElements)
            added[index] = write.shown == nil ? now : now.subtracting(elements(write.sees))
            wanted[index] = now
        }
    }

    func elements(_ known: Set<Int>) -> Set<String> {
        var elements: Set<String> = []
        for (index, additions) in added where known.contains(index) {
            let later = known.filter { history.writes[$0].sees.contains(index) }
            elements.formUnion(
                additions.filter { element in later.allSatisfy { wanted[$0]?.contains(element) ?? true } })
        }
        return elements
    }
}

extension Value {
    fileprivate var number: Int64 {
        guard case .integer(let number) = self else { preconditionFailure("no integer") }
        return number
    }
}
