import MeridianCore
import Testing

@testable import MeridianConvergence

/// No losing write vanishes unrecorded, and nothing is reported that was none.
struct ConflictLawTests {
    private static let seeds: Range<UInt64> = 2000..<2120
    private static let options = History.Options(isUnique: true)

    @Test(arguments: TestTable.with(.lastWriterWins)) func everyRegisterThatLostIsReported(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed, Self.options)
            let final = history.settled[0].record
            for field in table.fields(.lastWriterWins) where !history.shape.fields[field].columns.isEmpty {
                let writes = history.registerWrites(field)
                // Those whose writers knew of no later one: all others were overwritten knowingly.
                for index in history.maximal(writes) {
                    let write = history.writes[index]
                    let content = history.content(field, write.row!)
                    let isReported = history.merges.contains { merge in
                        merge.conflicts.contains {
                            $0.kind == .overwritten && $0.field == field && $0.loser == write.stamp
                                && $0.content == content
                        }
                    }
                    let isThere = history.content(field, final.row(history.shape)) == content
                    #expect(isThere || isReported, "field \(field), write \(index): \(history.comment)")
                }
            }
        }
    }

    /// What stands in a row that is deleted in the end was seen by a deletion, or reported with the whole row.
    @Test(arguments: TestTable.all) func everyWriteThatLostToADeletionIsReported(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed, Self.options)
            guard !history.settled[0].record.isAlive else { continue }
            let deletions = history.writes.indices.filter { history.writes[$0].row == nil }
            var settled = deletions.reduce(into: Set<Int>()) { $0.formUnion(history.writes[$1].sees) }
            for merge in history.merges where merge.conflicts.contains(where: { $0.kind == .deleted }) {
                let (loser, winner) = merge.mine.record.isAlive ? (merge.mine, merge.other) : (merge.other, merge.mine)
                settled.formUnion(loser.writes.subtracting(winner.writes))
            }
            let final = history.settled[0].record
            for index in history.writes.indices where history.writes[index].row != nil {
                let isStanding = holds(final, history.writes[index], history.shape)
                #expect(settled.contains(index) || !isStanding, "write \(index): \(history.comment)")
            }
        }
    }

    /// Whether something that the write brought is in the record's cells.
    private func holds(_ record: Record, _ write: History.Write, _ shape: RecordShape) -> Bool {
        zip(shape.fields, record.cells).contains { field, cell in
            switch cell {
            case .register(let register):
                return register.stamp == write.stamp && !field.columns.isEmpty
            case .counter:
                let column = field.columns[0]
                return write.row?[column] != (write.shown?[column] ?? .integer(0))
            case .set(let set):
                return set.members.contains { $0.dots.contains(write.stamp.dot) }
            case .siblings(let set):
                return set.siblings.contains { $0.stamp == write.stamp }
            }
        }
    }

    @Test(arguments: TestTable.all) func everyDeletionThatLostIsReported(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed, Self.options)
            guard history.settled[0].record.isAlive else { continue }
            let reported = Set(
                history.merges.flatMap(\.conflicts).filter { $0.kind == .revived }.compactMap {
                    history.index(of: $0.loser)
                })
            // The latest first: one that came together with a later one has its lot.
            var settled: [Int] = []
            let deletions = history.writes.indices.filter { history.writes[$0].row == nil }
            for index in deletions.sorted(by: { history.writes[$0].stamp > history.writes[$1].stamp }) {
                let isKnown = history.writes.contains { $0.sees.contains(index) && $0.row != nil }
                let isTogether =
                    (history.shipments + history.settled).contains { shipment in
                        !shipment.record.isAlive && shipment.writes.contains(index)
                            && settled.contains { history.writes[$0].stamp == shipment.record.life.stamp }
                    }
                    || history.merges.contains { merge in
                        !merge.result.isAlive
                            && (merge.mine.writes.contains(index) || merge.other.writes.contains(index))
                            && settled.contains { history.writes[$0].stamp == merge.result.life.stamp }
                    }
                #expect(isKnown || isTogether || reported.contains(index), "deletion \(index): \(history.comment)")
                settled.append(index)
            }
        }
    }

    /// Every pair of a sibling and the latest is reported once it comes together.
    @Test(arguments: TestTable.with(.siblings, .merge)) func everySiblingIsReported(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed, Self.options)
            for merge in history.merges {
                for field in table.fields(.siblings, .merge) {
                    guard case .siblings(let set) = merge.result.cells[field], let latest = set.siblings.last else {
                        continue
                    }
                    let news = set.siblings.dropLast().filter { sibling in
                        let pair = [history.index(of: sibling.stamp)!, history.index(of: latest.stamp)!]
                        return !merge.mine.writes.isSuperset(of: pair) && !merge.other.writes.isSuperset(of: pair)
                    }
                    let reports = merge.conflicts.filter { $0.kind == .kept && $0.field == field }
                    #expect(reports.map(\.loser) == news.map(\.stamp), history.comment)
                    #expect(reports.map(\.content) == news.map(\.content), history.comment)
                    #expect(reports.allSatisfy { $0.winner == latest.stamp }, history.comment)
                }
            }
        }
    }

    @Test(arguments: TestTable.all) func reportsNameWritesThatDidNotKnowOfEachOther(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed, Self.options)
            for merge in history.merges {
                for conflict in merge.conflicts {
                    let winner = try #require(history.index(of: conflict.winner))
                    let loser = try #require(history.index(of: conflict.loser))
                    #expect(conflict.loser < conflict.winner, history.comment)
                    #expect(!history.writes[winner].sees.contains(loser) || conflict.kind == .deleted, history.comment)
                    try expectRightKind(conflict, merge, history)
                }
            }
        }
    }

    private func expectRightKind(_ conflict: Conflict, _ merge: History.Merge, _ history: History) throws {
        let sides = [merge.mine, merge.other]
        let losing = try #require(
            sides.first { side in
                side.writes.contains(history.index(of: conflict.loser)!)
                    && (conflict.field != nil || side.record.life.stamp == conflict.loser)
            })
        switch conflict.kind {
        case .overwritten:
            let field = try #require(conflict.field)
            guard case .register(let register) = merge.result.cells[field] else {
                Issue.record("no register")
                return
            }
            #expect(register.stamp == conflict.winner && conflict.loser < conflict.winner, history.comment)
        case .kept:
            let field = try #require(conflict.field)
            guard case .siblings(let set) = merge.result.cells[field] else {
                Issue.record("no siblings")
                return
            }
            #expect(set.siblings.contains { $0.stamp == conflict.loser }, history.comment)
        case .deleted:
            #expect(conflict.field == nil && !merge.result.isAlive && losing.record.isAlive, history.comment)
            #expect(conflict.content == losing.record.row(history.shape), history.comment)
        case .revived:
            #expect(conflict.field == nil && merge.result.isAlive && !losing.record.isAlive, history.comment)
            #expect(conflict.content.isEmpty, history.comment)
        }
    }

    @Test(arguments: TestTable.all) func theSameRecordTwiceReportsNothing(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            for merge in history.merges {
                for other in [merge.other.record, merge.mine.record, merge.result] {
                    var (again, reports) = (merge.result, 0)
                    let hasChanged = again.merge(other, history.shape) { _ in reports += 1 }
                    #expect(!hasChanged && reports == 0 && again == merge.result, history.comment)
                }
                // Nor does one that brings what is merely newer.
                var (older, reports) = (merge.mine.record, 0)
                _ = older.merge(merge.result, history.shape) { _ in reports += 1 }
                #expect(reports == 0 && older == merge.result, history.comment)
            }
        }
    }
}
