import BenchSupport
import Foundation
import MeridianConvergence
import MeridianCore

/// Merges on one core: a record that another copy sends, as bytes, joined with the stored one, as bytes. Both were
/// written without knowing of each other, so nothing is simply newer.
struct MergeRates {
    let report: FigureReport
    private static let pairs = 2_000
    private static let seconds = 1.0

    func run() throws {
        let key = ColumnSchema("id", .integer)
        let text = ColumnSchema("text", .text)
        let number = ColumnSchema("number", .integer)
        let set = ColumnSchema("set", .json)
        try rate("row", [key, text, number], [:], isWhole: true)
        try rate("registers", [key, text, number], [:], isWhole: false)
        try rate("counter", [key, text, number], [2: .counter], isWhole: false)
        try rate("set", [key, text, set], [2: .addWinsSet], isWhole: false)
        try rate("cart", [key, text, number, set], [2: .counter, 3: .addWinsSet], isWhole: false)
        try rate("siblings", [key, text], [1: .siblings], isWhole: false)
    }

    private func rate(
        _ name: String, _ columns: [ColumnSchema], _ resolvers: [Int: Resolver], isWhole: Bool
    ) throws {
        let schema = TableSchema(name: name, columns: columns, keyColumns: [0])
        let shape = RecordShape(schema, columns: resolvers, others: .lastWriterWins, isWhole: isWhole)
        func row(_ id: Int, _ number: Int) -> [Value] {
            columns.map { column in
                switch column.name {
                case "id": .integer(Int64(id))
                case "number": .integer(Int64(number))
                case "set": .text("[\"common\",\"item\(number)\"]")
                default: .text("some text of a row, written by \(number)")
                }
            }
        }
        let pairs = try (0..<Self.pairs).map { id in
            let time = Timestamp(nanoseconds: Int64(id))
            let base = try Record(writing: row(id, 0), over: nil, shape, by: Origin(1), at: time, name: name)
            let sides = try [1, 2].map { origin in
                let record = try Record(
                    writing: row(id, origin), over: base, shape, by: Origin(UInt32(origin)), at: time, name: name)
                return try RecordCoding.encode(record, shape, name: name)
            }
            return (sides[0], sides[1])
        }
        var count = 0
        let begun = clock()
        while Double(clock() - begun) / Double(CLOCKS_PER_SEC) < Self.seconds {
            for (own, incoming) in pairs {
                let outcome = try RecordJoin.join(own, incoming, shape, name: name)
                precondition(outcome.stored != nil, "two writes were taken for one")
            }
            count += pairs.count
        }
        let rate = Double(count) / (Double(clock() - begun) / Double(CLOCKS_PER_SEC))
        report.add("active.merge.\(name)", rate, "1/s", .atLeast, 200_000)
    }
}
