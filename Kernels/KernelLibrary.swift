import Foundation

/// The OpenCL C sources, by file name, with their includes put in.
public struct KernelLibrary: Sendable {
  /// A kernel file that is not there or cannot be read.
  public struct MissingKernel: Error, CustomStringConvertible {
    public let description: String
  }

  /// Where to read files from; nil for those built into the program.
  public let folder: String?

  public init(folder: String? = nil) { self.folder = folder }

  /// What the environment variable `SOFTPROMPT_KERNELS` says.
  public static func folderFromEnvironment() -> String? {
    ProcessInfo.processInfo.environment["SOFTPROMPT_KERNELS"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The names of all files.
  public static var names: [String] { embedded.keys.sorted() }

  /// The source of a file, with every line `#include "other.cl"` replaced by that file.
  ///
  /// - Throws: `MissingKernel` naming the file.
  public func source(_ name: String) throws -> String {
    var included: Set<String> = []
    return try expand(name, &included)
  }

  /// A file as it is, its includes not put in; nil if there is none of that name.
  public func text(_ name: String) -> [UInt8]? { (try? read(name)).map { Array($0.utf8) } }

  private func expand(_ name: String, _ included: inout Set<String>) throws -> String {
    guard included.insert(name).inserted else { return "" }
    var lines: [Substring] = []
    let text = try read(name)
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("#include \""), let end = line.lastIndex(of: "\"") {
        let start = line.index(line.startIndex, offsetBy: 10)
        lines.append(Substring(try expand(String(line[start..<end]), &included)))
      } else {
        lines.append(line)
      }
    }
    return lines.joined(separator: "\n")
  }

  private func read(_ name: String) throws -> String {
    if let folder {
      let path = "\(folder)/\(name)"
      guard let data = FileManager.default.contents(atPath: path) else {
        throw MissingKernel(description: "\(path): cannot be read")
      }
      return String(decoding: data, as: UTF8.self)
    }
    guard let bytes = Self.embedded[name] else { throw MissingKernel(description: "\(name): no such kernel file") }
    return String(decoding: bytes, as: UTF8.self)
  }
}
