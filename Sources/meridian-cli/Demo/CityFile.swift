import Foundation
import Meridian

/// The 34,006 cities that come with the program (Resources/CREDITS.md), read from comma-separated values.
enum CityFile {
    /// The file as it is, in which canaries are chosen.
    static func bytes() throws -> [UInt8] {
        guard let url = Bundle.module.url(forResource: "cities", withExtension: "csv"),
            let data = try? Data(contentsOf: url)
        else {
            throw MeridianError(
                .storageFailed, "cities.csv is missing beside the program; build it again with `swift build`")
        }
        return [UInt8](data)
    }

    /// - Throws: `.corruption`, with the line, for anything that is not a city.
    static func cities(in bytes: [UInt8]) throws(MeridianError) -> [City] {
        // Lines may end as on the internet, with two bytes.
        let lines = bytes.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        guard let header = lines.first, String(decoding: header, as: UTF8.self) == columns else {
            throw MeridianError(.corruption, "cities.csv does not begin with \(columns)")
        }
        var cities: [City] = []
        cities.reserveCapacity(lines.count)
        for (number, line) in lines.enumerated().dropFirst() {
            guard let city = city(fields(of: line)) else {
                throw MeridianError(.corruption, "cities.csv, line \(number + 1): not a city")
            }
            cities.append(city)
        }
        return cities
    }

    private static let columns = "geonameid,name,country,continent,population,latitude,longitude,timezone"

    private static func city(_ fields: [String]) -> City? {
        guard fields.count == 8, let id = Int(fields[0]), let population = Int(fields[4]),
            let latitude = Double(fields[5]), let longitude = Double(fields[6])
        else { return nil }
        return City(
            id: id, region: DemoWorld.home(ofCountry: fields[2]).rawValue, name: fields[1], country: fields[2],
            continent: fields[3], population: population, latitude: latitude, longitude: longitude,
            timezone: fields[7])
    }

    /// The fields of a line (RFC 4180, without line breaks inside of quotes).
    static func fields(of line: some Sequence<UInt8>) -> [String] {
        let (comma, quote) = (UInt8(ascii: ","), UInt8(ascii: "\""))
        var fields: [String] = []
        var field: [UInt8] = []
        var isQuoted = false
        var previousClosed = false
        for byte in line {
            switch byte {
            case quote:
                // Two quotes inside of quotes are one that is meant.
                if previousClosed { field.append(quote) }
                previousClosed = isQuoted
                isQuoted.toggle()
                continue
            case comma where !isQuoted:
                fields.append(String(decoding: field, as: UTF8.self))
                field = []
            default:
                field.append(byte)
            }
            previousClosed = false
        }
        return fields + [String(decoding: field, as: UTF8.self)]
    }
}
