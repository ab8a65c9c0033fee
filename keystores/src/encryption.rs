//! Encryption under a password.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::common::InnerUser;
use cbc::cipher::consts::U8;
use cbc::cipher::{BlockCipherEncrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit, KeyInit};
use der::asn1::{ObjectIdentifier, OctetString};
use des::TdesEde3;
use rc2::Rc2;
use zeroize::Zeroizing;

use crate::asn1::{
    AlgorithmIdentifier, DerivedParameters, PbeParameters, Pbkdf2Parameters, octets, oid,
};
use crate::kdf::{Derivation, Purpose};
use crate::{Password, Salts, StoreError};

/// Iterations of every derivation but that of the legacy MAC's key.
pub(crate) const ITERATIONS: u32 = 2048;

/// A password in the two encodings that PKCS#12 takes.
pub(crate) struct Encoded<'a> {
    pub utf_8: &'a [u8],
    pub bmp: Zeroizing<Vec<u8>>,
}

impl<'a> Encoded<'a> {
    pub fn new(password: &'a Password) -> Result<Self, StoreError> {
        Ok(Encoded { utf_8: password.utf_8(), bmp: password.bmp()? })
    }

    /// PBKDF2 with HMAC-SHA-256.
    pub fn pbkdf2(&self, salt: &[u8]) -> Zeroizing<[u8; 32]> {
        let iterations = NonZeroU32::new(ITERATIONS).expect("it is not 0");
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::derive(PBKDF2_HMAC_SHA256, iterations, salt, self.utf_8, key.as_mut());
        key
    }
}

/// The schemes, each with the derivation that belongs to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scheme {
    /// pbeWithSHAAnd40BitRC2-CBC (RFC 7292 appendix C).
    Rc2,
    /// pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292 appendix C).
    TripleDes,
    /// PBES2 with AES-256-CBC (RFC 8018 section 6.2).
    Aes,
}

/// What became of a plaintext, and how.
pub(crate) struct Sealed {
    pub algorithm: AlgorithmIdentifier,
    pub data: OctetString,
}

impl Scheme {
    pub fn seal(
        self,
        plain: &[u8],
        password: &Encoded<'_>,
        salts: &mut Salts,
    ) -> Result<Sealed, StoreError> {
        match self {
            Scheme::Rc2 => Ok(legacy(oid::PBE_SHA1_RC2_40, plain, password, salts, |key| {
                Rc2::new_with_eff_key_len(key as &[u8; 5], 40)
            })),
            Scheme::TripleDes => Ok(legacy(oid::PBE_SHA1_3DES, plain, password, salts, |key| {
                TdesEde3::new(key.into())
            })),
            Scheme::Aes => modern(plain, password, salts)
                .map_err(|Unspecified| StoreError::Crypto("encrypt with AES-256-CBC")),
        }
    }
}

/// Key and initialization vector are both derived, from one salt.
fn legacy<const KEY: usize, C>(
    algorithm: ObjectIdentifier,
    plain: &[u8],
    password: &Encoded<'_>,
    salts: &mut Salts,
    cipher: impl FnOnce(&[u8; KEY]) -> C,
) -> Sealed
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U8>,
    cbc::Encryptor<C>: InnerUser<Inner = C>,
{
    let salt = salts.take::<8>();
    let derivation = Derivation {
        hash: &digest::SHA1_FOR_LEGACY_USE_ONLY,
        password: &password.bmp,
        salt: &salt,
        iterations: ITERATIONS,
    };
    let iv = derivation.derive::<8>(Purpose::Iv);
    let cipher = cipher(&derivation.derive::<KEY>(Purpose::Key));
    let encryptor = cbc::Encryptor::inner_iv_init(cipher, (&*iv).into());
    let data = encryptor.encrypt_padded_vec::<Pkcs7>(plain);
    let parameters = PbeParameters { salt: octets(&salt), iterations: ITERATIONS };
    Sealed { algorithm: AlgorithmIdentifier::with(algorithm, &parameters), data: octets(&data) }
}

fn modern(plain: &[u8], password: &Encoded<'_>, salts: &mut Salts) -> Result<Sealed, Unspecified> {
    let (salt, iv) = (salts.take::<16>(), salts.take::<16>());
    let key = UnboundCipherKey::new(&AES_256, password.pbkdf2(&salt).as_ref())?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key)?;
    // Encrypted in place, with room for the padding: no copy of the plaintext stays behind.
    let mut data = Zeroizing::new(Vec::with_capacity(plain.len() + iv.len()));
    data.extend_from_slice(plain);
    key.less_safe_encrypt(&mut *data, EncryptionContext::Iv128(iv.into()))?;
    let scheme = DerivedParameters {
        derivation: pbkdf2_with(&salt, None),
        scheme: AlgorithmIdentifier::with(oid::AES_256_CBC, &octets(&iv)),
    };
    let algorithm = AlgorithmIdentifier::with(oid::PBES2, &scheme);
    Ok(Sealed { algorithm, data: octets(&data) })
}

/// What [`Encoded::pbkdf2`] does, in writing.
pub(crate) fn pbkdf2_with(salt: &[u8], key_length: Option<u32>) -> AlgorithmIdentifier {
    let parameters = Pbkdf2Parameters {
        salt: octets(salt),
        iterations: ITERATIONS,
        key_length,
        prf: AlgorithmIdentifier::plain(oid::HMAC_SHA256),
    };
    AlgorithmIdentifier::with(oid::PBKDF2, &parameters)
}
