import MeridianCore
import MeridianPlacement

/// How a table's rows are homed, said with the row's own properties. `Locality` says what each choice means.
public struct TableLocality<Row: Codable & Sendable>: Sendable {
    /// The locality with the region's column by name, once the columns are known.
    let resolve: @Sendable (_ shape: () throws(MeridianError) -> RowShape<Row>) throws(MeridianError) -> Locality

    /// Each row is homed in the region that this property names: a `String`, a `Region`, or an enum over `String`.
    public static func regionalByRow<Home: Codable & Hashable & Sendable>(
        _ region: any KeyPath<Row, Home> & Sendable
    ) -> TableLocality {
        TableLocality { shape throws(MeridianError) in
            let shape = try shape()
            return .regionalByRow(column: shape.columns[try shape.position(of: region)].name)
        }
    }

    /// The same, by the column's name.
    public static func regionalByRow(column: String) -> TableLocality {
        TableLocality { _ throws(MeridianError) in .regionalByRow(column: column) }
    }

    /// All rows are homed in one region.
    public static func regional(in region: Region) -> TableLocality {
        TableLocality { _ throws(MeridianError) in .regional(in: region) }
    }

    /// Every region holds a copy of all rows and reads it, fresh, without a message; writers wait until their commit
    /// has reached the farthest region. For what is read everywhere and written rarely.
    public static var global: TableLocality {
        TableLocality { _ throws(MeridianError) in .global }
    }
}
