/// What is wrong with a plan file, where, and what was probably meant: `orders.plan:12:8: …`.
package struct PlanFileError: Error, Hashable, Sendable, CustomStringConvertible {
    package var file: String
    /// From 1.
    package var line: Int
    /// Of the word in question, from 1, in characters.
    package var column: Int
    package var message: String
    /// The known name that is nearest to an unknown one.
    package var suggestion: String?

    package var description: String {
        "\(file):\(line):\(column): \(message)" + (suggestion.map { "; did you mean \"\($0)\"?" } ?? "")
    }
}
