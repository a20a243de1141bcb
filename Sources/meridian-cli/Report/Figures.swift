import Foundation

/// Figures for machines, as DESIGN §13 has them.
final class FigureReport: Sendable {
    struct Figure: Codable, Sendable {
        var name: String
        var value: Double
        var unit: String
        var limit: Double?
        var bound: Bound?
        var holds: Bool?
    }

    enum Bound: String, Codable, Sendable { case atMost, atLeast }

    private struct Document: Codable {
        var environment: [String: String]
        var figures: [Figure]
    }

    private let figures = Locked<[Figure]>([])

    func add(_ name: String, _ value: Double, _ unit: String) {
        figures.with { $0.append(Figure(name: name, value: value, unit: unit)) }
    }

    /// A figure with a goal.
    func add(_ name: String, _ value: Double, _ unit: String, _ bound: Bound, _ limit: Double) {
        let holds = bound == .atMost ? value <= limit : value >= limit
        figures.with {
            $0.append(Figure(name: name, value: value, unit: unit, limit: limit, bound: bound, holds: holds))
        }
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let document = Document(environment: RunEnvironment.current, figures: figures.with { $0 })
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }
}
