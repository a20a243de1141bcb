import Foundation
import MeridianCore
import MeridianPlacement

/// Rules from a file of JSON: `{"rules": [{"jurisdiction": "EU", …}]}`, with the fields of `JurisdictionRule`.
///
/// A field that is misspelt would be a rule that silently asks nothing, so unknown ones are refused.
extension JurisdictionRules {
    /// The European Union, Brazil, India and health data in the United States, to start from. They are examples and no
    /// legal advice; `Sources/Meridian/Residency/Resources/jurisdictions.json` names the sources of each number.
    public static let examples: JurisdictionRules = {
        do {
            return try JurisdictionRules(json: PackageResources.jurisdictions_json)
        } catch {
            // The file is compiled in, and a test reads it.
            preconditionFailure("the example rules: \(error)")
        }
    }()

    /// - Throws: `.invalidConfiguration`, naming the jurisdiction and the field, with the name that was probably meant.
    public init(json: [UInt8]) throws(MeridianError) {
        let fields = Set(JurisdictionRule.CodingKeys.allCases.map(\.rawValue))
        let document: Document
        do {
            let object = try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any]
            for field in (object ?? [:]).keys.sorted() where !["rules", "notice"].contains(field) {
                throw Self.unknown(field, in: "the file", among: ["rules", "notice"])
            }
            for (number, rule) in ((object?["rules"] as? [[String: Any]]) ?? []).enumerated() {
                let name = rule["jurisdiction"] as? String ?? "rule \(number + 1)"
                for field in rule.keys.sorted() where !fields.contains(field) {
                    throw Self.unknown(field, in: "the rule of \(name)", among: fields.sorted())
                }
            }
            document = try JSONDecoder().decode(Document.self, from: Data(json))
        } catch let error as MeridianError {
            throw error
        } catch let error as DecodingError {
            throw MeridianError(.invalidConfiguration, "rules: \(Self.describe(error))")
        } catch {
            throw MeridianError(.invalidConfiguration, "rules: the file is not JSON: \(error.localizedDescription)")
        }
        try self.init(document.rules)
    }

    /// - Throws: as `init(json:)`, and `.storageFailed` when the file cannot be read.
    public init(file path: String) throws(MeridianError) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw MeridianError(.storageFailed, "the rules cannot be read from \(path)")
        }
        try self.init(json: [UInt8](data))
    }

    private struct Document: Decodable { var rules: [JurisdictionRule] }

    private static func unknown(_ field: String, in place: String, among fields: [String]) -> MeridianError {
        let hint = NameSuggestion.hint(for: field, among: fields)
        return MeridianError(
            .invalidConfiguration,
            "rules: \(place) has an unknown field \"\(field)\".\(hint) It can have \(fields.joined(separator: ", "))")
    }

    private static func describe(_ error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String {
            path.map { $0.intValue.map { "rule \($0 + 1)" } ?? $0.stringValue }.dropFirst().joined(separator: ", ")
        }
        switch error {
        case .keyNotFound(let key, let context): return "\(place(context.codingPath)) lacks \"\(key.stringValue)\""
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            return "\(place(context.codingPath)): \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }
}
