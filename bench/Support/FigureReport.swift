import Foundation

/// Figures for machines, as DESIGN §13 has them.
package final class FigureReport: Sendable {
    package struct Figure: Codable, Sendable {
        var name: String
        var value: Double
        var unit: String
        var limit: Double?
        var bound: Bound?
        var holds: Bool?
    }

    package enum Bound: String, Codable, Sendable { case atMost, atLeast }

    private struct Document: Codable {
        var environment: [String: String]
        var figures: [Figure]
    }

    package init() {}

    private let figures = Locked<[Figure]>([])

    package func add(_ name: String, _ value: Double, _ unit: String) {
        figures.with { $0.append(Figure(name: name, value: value, unit: unit)) }
    }

    /// A figure with a goal.
    package func add(_ name: String, _ value: Double, _ unit: String, _ bound: Bound, _ limit: Double) {
        let holds = bound == .atMost ? value <= limit : value >= limit
        figures.with {
            $0.append(Figure(name: name, value: value, unit: unit, limit: limit, bound: bound, holds: holds))
        }
    }

    package func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let document = Document(environment: RunEnvironment.current, figures: figures.with { $0 })
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }

    /// The same object with one more field, for what is no figure.
    package func json(with extra: some Encodable, named name: String) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let document = Document(environment: RunEnvironment.current, figures: figures.with { $0 })
        return String(
            decoding: try encoder.encode(Extended(document: document, name: name, extra: extra)), as: UTF8.self)
    }

    private struct Extended<Extra: Encodable>: Encodable {
        let document: Document
        let name: String
        let extra: Extra

        struct Name: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        func encode(to encoder: any Encoder) throws {
            try document.encode(to: encoder)
            var container = encoder.container(keyedBy: Name.self)
            try container.encode(extra, forKey: Name(stringValue: name))
        }
    }

    /// The figures for people, one a line, with their limits.
    package func text() -> String {
        figures.with { $0 }.map { figure in
            let name = figure.name.padding(toLength: max(44, figure.name.count), withPad: " ", startingAt: 0)
            var line = name + String(format: "%14.3f ", figure.value) + figure.unit
            if let limit = figure.limit, let bound = figure.bound {
                line += "   (\(bound == .atMost ? "at most" : "at least") \(limit.formatted())"
                line += figure.holds == true ? ", holds)" : ", MISSED)"
            }
            return line
        }.joined(separator: "\n")
    }
}
