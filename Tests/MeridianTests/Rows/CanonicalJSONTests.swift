import Foundation
import MeridianCore
import Testing

@testable import Meridian

/// Equal values are equal bytes, so a column that nobody touched counts as unchanged.
struct CanonicalJSONTests {
    private struct Point: Codable, Hashable, Sendable {
        var x: Int
        var tags: Set<String>
    }

    private struct Row: Codable, Sendable, Equatable {
        var id: Int
        var words: Set<String>
        var points: Set<Point>
        var byNumber: [UUID: Set<Int>]
        var nested: [String: [Set<Int>]]
        var maybe: Set<String>?
    }

    /// The same elements, put in by many orders and capacities.
    private func sets(_ words: [String]) -> [Set<String>] {
        (0..<40).map { round in
            var set = Set<String>(minimumCapacity: round * 7)
            for position in words.indices { set.insert(words[(position * 7 + round) % words.count]) }
            return set
        }
    }

    @Test func setsAndDictionariesAreEncodedInOneOrderAtAnyDepth() throws {
        let words = (0..<23).map { "w\($0)" }
        let ids = (0..<9).map { _ in UUID() }
        let table = Table<Row>("rows", key: \.id, convergence: .lastWriterWins)
        var seen: Set<[Value]> = []
        for (round, set) in sets(words).enumerated() {
            let numbers = (0..<11).map { ($0 * 5 + round) % 11 }
            var byNumber = [UUID: Set<Int>](minimumCapacity: round * 5)
            for position in ids.indices { byNumber[ids[(position * 2 + round) % ids.count]] = Set(numbers) }
            let row = Row(
                id: 1, words: set, points: Set(numbers.map { Point(x: $0, tags: set) }), byNumber: byNumber,
                nested: ["b": [Set(numbers)], "a": []], maybe: round % 2 == 0 ? nil : nil)
            let values = try table.encode(row)
            seen.insert(values)
            #expect(try table.decode(values) == row)
        }
        #expect(seen.count == 1)
    }

    private struct Odds: Codable, Equatable, Sendable {
        var text = "a\"b\\c\n\u{1}é/\u{1F600}"
        var real = 0.1
        var large = 1e300
        var small = Float(0.25)
        var date = Date(timeIntervalSinceReferenceDate: 12.5)
        var data = Data([1, 2, 255])
        var url = URL(string: "https://example.org/a?b=c")!
        var decimal = Decimal(string: "12345678901234567890.5")!
        var none: Int?
        var flags = [true, false]
        var big = UInt64.max
        var tuple: [String: Int] = ["z": 1, "a": 2]
    }

    @Test func jsonDecodersReadIt() throws {
        let text = try CanonicalJSON.text(of: Odds())
        #expect(try JSONDecoder().decode(Odds.self, from: Data(text.utf8)) == Odds())
        let reference = JSONEncoder()
        reference.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let expected = try reference.encode(Odds())
        #expect(
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? NSDictionary
                == (try JSONSerialization.jsonObject(with: expected) as? NSDictionary))
        #expect(throws: EncodingError.self) { _ = try CanonicalJSON.text(of: [Double.nan]) }
    }
}
