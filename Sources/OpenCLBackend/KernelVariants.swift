import Compute

/// Which form of the kernels computes what.
public struct KernelVariants: Sendable, Hashable, Codable, CustomStringConvertible {
  /// Operations that take one form together.
  public enum Family: String, Sendable, Hashable, CaseIterable, Codable, CodingKeyRepresentable {
    /// Matrix products.
    case products
    case attention
    /// Operations on rows and elements, reductions and optimizer steps.
    case rows
  }

  public var products: KernelVariant
  public var attention: KernelVariant
  public var rows: KernelVariant

  /// One form for everything.
  public init(_ variant: KernelVariant) { (products, attention, rows) = (variant, variant, variant) }

  public subscript(family: Family) -> KernelVariant {
    get {
      switch family {
      case .products: products
      case .attention: attention
      case .rows: rows
      }
    }
    set {
      switch family {
      case .products: products = newValue
      case .attention: attention = newValue
      case .rows: rows = newValue
      }
    }
  }

  /// The forms that are used at all.
  public var all: Set<KernelVariant> { [products, attention, rows] }

  /// The form's name where there is one, else that of each family.
  public var description: String {
    guard all.count > 1 else { return products.rawValue }
    return Family.allCases.map { "\($0.rawValue) \(self[$0].rawValue)" }.joined(separator: ", ")
  }
}
