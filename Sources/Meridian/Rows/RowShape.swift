import MeridianCore

/// The columns of a `Codable` type, and which of them a key path reads. Found once for a table, when it is declared.
///
/// A key path has no name that a program can rely on. So instances that differ in one column each are made, and the
/// column is the one that changes what is read through the key path; what is read must then also encode to exactly what
/// the row holds in that column, so that `\.name.count` or a computed property is not taken for `name`.
struct RowShape<Row: Codable> {
    let name: String
    let columns: [ColumnSchema]

    /// - Parameter name: the table's name, for the errors.
    /// - Throws: `.invalidTable` if the type does not take made-up values, with what to do instead.
    init(name: String) throws(MeridianError) {
        self.name = name
        let probe = RowProbe(varied: nil)
        let row: Row
        do {
            row = try Row(from: probe)
        } catch {
            throw Self.undetermined("the columns of \(Row.self)", (error as? MeridianError)?.message, of: name)
        }
        columns = probe.columns
        do {
            _ = try RowEncoder(name: name, columns: columns).encode(row)
        } catch {
            throw Self.undetermined("the columns of \(Row.self)", (error as? MeridianError)?.message, of: name)
        }
    }

    /// The position of the column that the key path reads.
    /// - Throws: `.invalidTable` if it is none or not only one.
    func position<Field: Hashable & Encodable>(of path: KeyPath<Row, Field>) throws(MeridianError) -> Int {
        do {
            let base = try Row(from: RowProbe(varied: nil))
            let variants = try columns.indices.map { try Row(from: RowProbe(varied: $0)) }
            let positions = columns.indices.filter { variants[$0][keyPath: path] != base[keyPath: path] }
            guard let position = positions.first else { throw undetermined("no column that can be varied changes it") }
            guard positions.count == 1 else {
                let names = positions.map { columns[$0].name }.joined(separator: ", ")
                throw undetermined("it reads several: \(names)")
            }
            let encoder = RowEncoder(name: name, columns: columns)
            for row in [base, variants[position]] where !columns[position].isOptional {
                let value = try encoder.encode(row[keyPath: path], column: position)
                guard try encoder.encode(row)[position] == value else {
                    throw undetermined("it does not read \(columns[position].name) as it is")
                }
            }
            return position
        } catch let error as MeridianError where error.code == .invalidTable {
            throw error
        } catch {
            throw undetermined((error as? MeridianError)?.message)
        }
    }

    private func undetermined(_ reason: String?) -> MeridianError {
        Self.undetermined("the key path's column", reason, of: name)
    }

    private static func undetermined(_ what: String, _ reason: String?, of name: String) -> MeridianError {
        let reason = reason.map { ": \($0)" } ?? ""
        return MeridianError(
            .invalidTable,
            "table \(name): \(what) cannot be determined\(reason); name them instead, with "
                + "Table(_:columns:keyColumns:locality:) and .regionalByRow(column:)")
    }
}
