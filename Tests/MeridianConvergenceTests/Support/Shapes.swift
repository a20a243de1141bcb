import MeridianCore
import Testing

@testable import MeridianConvergence

/// Tables of every kind, and rows made up for them. Column 0 is the key.
struct TestTable: Sendable, CustomTestStringConvertible {
    let name: String
    let shape: RecordShape

    var testDescription: String { name }

    init(_ name: String, _ fields: [(columns: Int, resolver: Resolver)]) {
        self.name = name
        var next = 1
        let made = fields.map { field -> RecordShape.Field in
            defer { next += field.columns }
            return RecordShape.Field(
                columns: Array(next..<(next + field.columns)), resolver: field.resolver, isRow: field.columns != 1)
        }
        shape = RecordShape(columnCount: next, key: [0], fields: made)
    }

    static let all = [
        TestTable("whole row, last writer wins", [(3, .lastWriterWins)]),
        TestTable("whole row, siblings", [(2, .siblings)]),
        TestTable("whole row, merge", [(2, .merge)]),
        TestTable("key alone", [(0, .lastWriterWins)]),
        TestTable("registers", [(1, .lastWriterWins), (1, .lastWriterWins), (1, .lastWriterWins)]),
        TestTable("counter", [(1, .counter)]),
        TestTable("grow-only counter", [(1, .growOnlyCounter)]),
        TestTable("grow-only set", [(1, .growOnlySet)]),
        TestTable("set", [(1, .addWinsSet)]),
        TestTable("siblings", [(1, .siblings), (1, .siblings)]),
        TestTable("merge", [(1, .merge), (1, .lastWriterWins)]),
        TestTable(
            "every resolver",
            [
                (1, .lastWriterWins), (1, .counter), (1, .growOnlyCounter), (1, .addWinsSet), (1, .growOnlySet),
                (1, .siblings), (1, .merge), (2, .lastWriterWins),
            ]),
        TestTable("counters and a set", [(1, .counter), (1, .growOnlyCounter), (1, .addWinsSet)]),
        TestTable("a set and a whole row", [(1, .addWinsSet), (2, .siblings)]),
    ]

    /// Those with a field of one of these kinds.
    static func with(_ resolvers: Resolver...) -> [TestTable] {
        all.filter { $0.shape.fields.contains { resolvers.contains($0.resolver) } }
    }

    func fields(_ resolvers: Resolver...) -> [Int] {
        shape.fields.indices.filter { resolvers.contains(shape.fields[$0].resolver) }
    }
}

extension SplitMix64 {
    mutating func index(below bound: Int) -> Int { Int(below(UInt64(bound))) }
    mutating func isTrue(oneIn bound: UInt64) -> Bool { below(bound) == 0 }
    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[index(below: elements.count)] }

    /// What an application may write next over what it was shown; a fresh row when nothing is there.
    /// - Parameter unique: a number that no other write has; `nil` for values that repeat.
    mutating func row(_ shape: RecordShape, over shown: [Value]?, unique: Int?) -> [Value] {
        var row = shown ?? [Value](repeating: .null, count: shape.columnCount)
        row[0] = .text("key")
        for field in shape.fields where shown == nil || !isTrue(oneIn: 3) {
            for column in field.columns { row[column] = value(field.resolver, over: shown?[column], unique: unique) }
        }
        return row
    }

    private mutating func value(_ resolver: Resolver, over shown: Value?, unique: Int?) -> Value {
        switch resolver {
        case .lastWriterWins, .siblings, .merge:
            if let unique { return .integer(Int64(unique)) }
            return pick([
                .null, .integer(1), .real(0), .real(-0.0), .real(.nan), .text(""), .text("é"), .text("e\u{301}"),
                .blob([]), .blob([0, 255]),
            ])
        case .counter:
            if case .integer(let count)? = shown { return .integer(count + Int64(below(21)) - 10) }
            return .integer(Int64(below(5)) - 2)
        case .growOnlyCounter:
            if case .integer(let count)? = shown { return .integer(count + Int64(below(10))) }
            return .integer(Int64(below(5)))
        case .addWinsSet, .growOnlySet:
            var elements: Set<String> = []
            if case .text(let text)? = shown { elements.formUnion(text.setElements) }
            for _ in 0..<below(3) { elements.insert(pick(Self.elements)) }
            if resolver == .addWinsSet { for _ in 0..<below(3) { elements.remove(pick(Self.elements)) } }
            return .text("[" + elements.shuffled(using: &self).joined(separator: ",") + "]")
        }
    }

    private static let elements = ["1", "\"a,b\"", "[2,3]", "{\"k\":\"]\"}", "\"é\"", "\"\""]
}

extension String {
    /// Of a set's text, by the code that is under test in `SetTextTests`.
    var setElements: [String] { SetText.elements(of: self)!.map { String(decoding: $0, as: UTF8.self) } }
}
