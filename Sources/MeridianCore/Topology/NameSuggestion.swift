/// Finds the name that somebody probably meant, so that an error about an unknown name can say so.
package enum NameSuggestion {
    /// The candidate nearest to `name` by edit distance, the first one of equals; `nil` when none is near enough to
    /// be a typing mistake (more than two edits, or more than a third of the name).
    package static func nearest(to name: String, among candidates: [String]) -> String? {
        let limit = max(2, name.count / 3)
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let distance = editDistance(Array(name.lowercased()), Array(candidate.lowercased()))
            guard distance <= limit, distance < best?.distance ?? .max else { continue }
            best = (candidate, distance)
        }
        return best?.candidate
    }

    /// `" Did you mean \"x\"?"`, or nothing.
    package static func hint(for name: String, among candidates: [String]) -> String {
        nearest(to: name, among: candidates).map { " Did you mean \"\($0)\"?" } ?? ""
    }

    /// Insertions, deletions and replacements that turn one into the other (Levenshtein 1966), in one row of memory.
    private static func editDistance(_ source: [Character], _ target: [Character]) -> Int {
        var row = Array(0...target.count)
        for (i, character) in source.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in target.enumerated() {
                let replaced = diagonal + (character == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
            }
        }
        return row[target.count]
    }
}
